// Objects and classes of a living JVM, by HotSpot's own metadata: which class an object is of, where a field lies.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/capture/java_table.h"
#include "agent/capture/process_memory.h"
#include "base/result.h"

namespace wirespan {

// How references, classes and the number of collections are written.
struct JavaHeap {
  std::uint64_t reference_base = 0;
  std::uint8_t reference_shift = 0;
  std::uint8_t reference_size = 8;
  std::uint8_t class_at = 0;      // in an object
  std::uint8_t class_shift = 0;   // of the bits there, to the right
  std::uint64_t class_mask = 0;   // of what is left
  std::uint64_t class_base = 0;   // of the class named by that
  std::uint8_t class_unit = 0;    // shift to the left
  std::uint64_t collecting = 0;   // address of a byte: objects are being moved
  std::uint64_t collections = 0;  // address of their number, 32 bits
  std::uint64_t begin = 0;        // of all objects
  std::uint64_t end = 0;
  std::uint8_t array = 0;  // first element; 0: not known
};

// Error.what says why not, for people. EAGAIN: not yet, it is still starting.
[[nodiscard]] Result<JavaHeap> read_java_heap(const ProcessMemory& memory, const JavaTable& table);

// Classes looked for by their names: the first one found of each, as class_of() says it.
struct JavaClasses {
  std::set<std::string> wanted;
  std::map<std::string, std::uint64_t> found;
  std::map<std::uint64_t, std::uint64_t> newest;  // of each loader's, when it was looked at last

  [[nodiscard]] std::uint64_t get(const std::string& name) const {
    const auto it = found.find(name);
    return it == found.end() ? 0 : it->second;
  }
};

// One thread. What it is made of must outlive it.
class JavaObjects {
 public:
  JavaObjects(const ProcessMemory& memory, const JavaTable& table, const JavaHeap& heap)
      : memory_(memory), table_(table), heap_(heap), pages_(memory) {}

  // What of an object's header names its class, as the kernel side compares it; nullopt: unreadable.
  [[nodiscard]] std::optional<std::uint64_t> class_of(std::uint64_t object) const;
  // Of a class: "java/lang/Thread"; of what class_of() says.
  [[nodiscard]] std::optional<std::string> name(std::uint64_t named) const;
  // Whether the class, or one above it, is said to be one of these.
  [[nodiscard]] bool implements(std::uint64_t named, std::initializer_list<std::string_view> interfaces) const;
  // The class above; 0: none.
  [[nodiscard]] std::uint64_t above(std::uint64_t named) const;
  // Looks at what was loaded since it was asked last; some 10 ms the first time.
  void find(JavaClasses& classes) const;
  // The same of all classes, told as class_of() says them, the newest of each loader's first. newest: of each loader's,
  // when it was looked at last. What is asked meanwhile of those that are told, and of classes above, is cheap.
  void each_new(std::map<std::uint64_t, std::uint64_t>& newest,
                const std::function<void(std::uint64_t named, const std::string& name)>& told) const;
  // Where the class's own field of that name lies in its objects. It is none of those above.
  [[nodiscard]] std::optional<std::uint16_t> field(std::uint64_t named, const std::string& name) const;
  // All of its own, by name.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint16_t>> fields(std::uint64_t named) const;
  // Where that of the class or of the nearest above that has one lies.
  [[nodiscard]] std::optional<std::uint16_t> field_or_above(std::uint64_t named, const std::string& name) const;

 private:
  [[nodiscard]] bool read(std::uint64_t at, void* to, std::size_t size) const {
    return by_pages_ ? pages_.read(at, to, size) : memory_.read(at, to, size);
  }
  [[nodiscard]] std::uint64_t word(std::uint64_t at) const;
  [[nodiscard]] std::uint64_t klass(std::uint64_t named) const {
    return heap_.class_base + (named << heap_.class_unit);
  }
  [[nodiscard]] std::optional<std::string> symbol(std::uint64_t at) const;
  // Where in the constants its name is, and in objects the field. False: enough.
  using TellField = std::function<bool(std::uint32_t name_at, std::uint16_t offset)>;
  void each_field(std::uint64_t klass, const TellField& told) const;
  void each_of_array(std::uint64_t klass, const TellField& told) const;
  void each_of_stream(std::uint64_t klass, const TellField& told) const;
  [[nodiscard]] std::optional<std::string> constant(std::uint64_t klass, std::uint32_t index) const;

  const ProcessMemory& memory_;
  const JavaTable& table_;
  const JavaHeap& heap_;
  // Classes and their names lie together: of thousands of them each was four system calls. Only while classes are gone
  // through that were complete when that began.
  mutable ProcessPages pages_;
  mutable bool by_pages_ = false;
};

}  // namespace wirespan
