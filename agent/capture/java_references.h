// Which objects a Java object refers to, exactly: HotSpot keeps for each class where its references lie (the oop maps
// behind its InstanceKlass), as its collectors need to know. References of java.lang.ref and what lies outside of the
// heap (static fields, stacks of virtual threads) are in none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/capture/java_objects.h"
#include "agent/capture/java_ways.h"

namespace wirespan {

// How objects of a class lie.
struct JavaLayout {
  std::string name;  // "java/lang/Thread"; empty: unreadable
  std::uint32_t size = 0;
  bool array = false;  // of references
  bool shared = false;
  bool code = false;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> references;  // where from, and how many
};
// By how headers name the classes. Holds until classes are unloaded.
using JavaLayouts = std::unordered_map<std::uint32_t, JavaLayout>;

// One thread. Of one look: what was read once is not read again. What it is made of must outlive it.
class JavaReferences : public JavaGraph {
 public:
  JavaReferences(const ProcessMemory& memory, const JavaTable& table, const JavaHeap& heap, JavaLayouts& layouts)
      : memory_(memory),
        table_(table),
        heap_(heap),
        layouts_(layouts),
        objects_(memory, table, heap),
        began_(collections()),
        pages_(memory) {}

  [[nodiscard]] const Object& read(std::uint64_t object) override;
  void refresh() override;
  void keep() override;
  void forget() override;
  [[nodiscard]] bool moved() override { return began_.now != 0 || collections() != began_; }
  [[nodiscard]] bool is_shared(std::uint32_t named) override { return layout_of(named).shared; }
  // `below`: how many classes below it are asked about.
  const JavaLayout& layout_of(std::uint32_t named, std::size_t below = 0);
  [[nodiscard]] std::uint8_t reference_size() const { return heap_.reference_size; }
  // A signed 32-bit field.
  [[nodiscard]] std::int32_t number(std::uint64_t object, std::uint16_t field) const;

 private:
  struct Collections {
    std::uint8_t now = 1;  // objects are being moved
    std::uint32_t number = 0;
    bool operator==(const Collections&) const = default;
  };
  [[nodiscard]] Collections collections() const;
  void read_layout(std::uint64_t klass, JavaLayout& to) const;
  void add(const std::uint8_t* at, std::uint16_t field, std::vector<JavaReference>& to) const;

  const ProcessMemory& memory_;
  const JavaTable& table_;
  const JavaHeap& heap_;
  JavaLayouts& layouts_;
  JavaObjects objects_;
  Collections began_;
  std::unordered_map<std::uint64_t, Object> kept_;
  std::unordered_map<std::uint64_t, Object> read_;  // since refresh()
  ProcessPages pages_;                              // objects made together lie together
};

}  // namespace wirespan
