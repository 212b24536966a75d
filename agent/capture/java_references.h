// Which objects a Java object refers to, exactly: HotSpot keeps for each class where its references lie (the oop maps
// behind its InstanceKlass), as its collectors need to know. References of java.lang.ref and what lies outside of the
// heap (static fields, stacks of virtual threads) are in none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/capture/java_objects.h"
#include "agent/capture/java_ways.h"

namespace wirespan {

// One thread. Of one look: what was read once is not read again. What it is made of must outlive it.
class JavaReferences : public JavaGraph {
 public:
  JavaReferences(const ProcessMemory& memory, const JavaTable& table, const JavaHeap& heap)
      : memory_(memory), table_(table), heap_(heap), objects_(memory, table, heap) {}

  [[nodiscard]] const Object& read(std::uint64_t object) override;
  void refresh() override;
  void keep() override;
  [[nodiscard]] bool is_shared(std::uint32_t named) override { return class_of(named).shared; }
  // Whether what is behind it has to do with how the program was loaded.
  [[nodiscard]] bool is_code(std::uint32_t named) { return class_of(named).code; }
  // A signed 32-bit field.
  [[nodiscard]] std::int32_t number(std::uint64_t object, std::uint16_t field) const;

 private:
  struct Class {
    std::uint32_t size = 0;  // of its objects
    bool array = false;      // of references
    bool shared = false;
    bool code = false;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> references;  // where from, and how many
  };

  static constexpr std::size_t kPage = 4096;
  using Page = std::array<std::uint8_t, kPage>;

  bool copy(std::uint64_t from, std::uint8_t* to, std::size_t size);
  const Class& class_of(std::uint32_t named);
  void read_layout(std::uint64_t klass, Class& to) const;
  void add(const std::uint8_t* at, std::uint16_t field, std::vector<JavaReference>& to) const;

  const ProcessMemory& memory_;
  const JavaTable& table_;
  const JavaHeap& heap_;
  JavaObjects objects_;
  std::unordered_map<std::uint32_t, Class> classes_;
  std::unordered_map<std::uint64_t, Object> kept_;
  std::unordered_map<std::uint64_t, Object> read_;  // since refresh()
  std::unordered_map<std::uint64_t, Page> pages_;   // objects made together lie together
};

}  // namespace wirespan
