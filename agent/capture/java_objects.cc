#include "agent/capture/java_objects.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostFlags = 4096;
constexpr std::size_t kMostFlagSize = 64;
constexpr std::size_t kMostFlagName = 64;
constexpr std::size_t kMostSymbol = 512;
constexpr std::uint32_t kMostFields = 1024;
constexpr std::uint32_t kMostInterfaces = 64;
constexpr std::uint32_t kMostStream = 65'536;
constexpr std::uint32_t kMostFieldOffset = 32'768;

// Compact headers (JDK 24): the upper 22 bits of the mark word (markWord.hpp, klass_shift).
constexpr std::uint8_t kCompactShift = 42;

constexpr std::uint8_t kArrayOfShortClasses = 16;
constexpr std::size_t kMostClasses = 1U << 18U;
constexpr std::size_t kMostLoaders = 1U << 14U;
constexpr std::size_t kMostAbove = 12;  // classes above one

// InstanceKlass::_fields up to JDK 20 (fieldInfo.hpp): so many 16-bit words a field, the name's index the second; the
// offset lies in the last two, above two bits that say what it is.
constexpr std::size_t kFieldWords = 6;
constexpr std::size_t kNameWord = 1;
constexpr std::size_t kLowWord = 4;
constexpr std::size_t kHighWord = 5;
constexpr std::uint32_t kTagBits = 2;
constexpr std::uint32_t kTagOffset = 1;
constexpr std::uint16_t kAccessStatic = 8;
// InstanceKlass::_fieldinfo_stream from JDK 21 on (fieldInfo.hpp): numbers in UNSIGNED5; these flags of a field say
// what follows it.
constexpr std::uint32_t kHasInitializer = 1;
constexpr std::uint32_t kHasGenericSignature = 4;
constexpr std::uint32_t kHasContentionGroup = 16;

// HotSpot's UNSIGNED5 (unsigned5.hpp): digits to the base of 64, the byte 0 is none, below 192 is a last one.
class Unsigned5 {
 public:
  explicit Unsigned5(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}
  // 0 behind the end, too.
  std::uint32_t next() {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < 5 && at_ < bytes_.size(); ++i) {
      const std::uint32_t digit = bytes_[at_++];
      if (digit == 0) return 0;
      sum += (digit - 1) << (6 * i);
      if (digit < 192) break;
    }
    return sum;
  }
  [[nodiscard]] bool ended() const { return at_ >= bytes_.size(); }

 private:
  const std::vector<std::uint8_t>& bytes_;
  std::size_t at_ = 0;
};

// The flags of its command line that say how the heap is laid out.
std::map<std::string, bool> flags_of(const ProcessMemory& memory, const JavaTable& table) {
  std::map<std::string, bool> out{{"UseCompressedOops", false},
                                  {"UseCompressedClassPointers", false},
                                  {"UseCompactObjectHeaders", false},
                                  {"UseSerialGC", false},
                                  {"UseG1GC", false}};
  const std::uint64_t size = table.size("JVMFlag");
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  if (size == 0 || size > kMostFlagSize || !memory.read(table.address("JVMFlag::flags"), &first, sizeof(first)) ||
      !memory.read(table.address("JVMFlag::numFlags"), &count, sizeof(count)) || count > kMostFlags) {
    return {};
  }
  const std::uint16_t name_at = table.offset("JVMFlag::_name");
  const std::uint16_t address_at = table.offset("JVMFlag::_addr");
  std::vector<std::uint8_t> all(count * size);
  if (!memory.read(first, all.data(), all.size())) return {};
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t name = 0;
    std::uint64_t address = 0;
    if (name_at + sizeof(name) > size || address_at + sizeof(address) > size) return {};
    std::memcpy(&name, &all[i * size + name_at], sizeof(name));
    std::memcpy(&address, &all[i * size + address_at], sizeof(address));
    const auto text = memory.text(name, kMostFlagName);
    if (!text) continue;
    const auto it = out.find(*text);
    std::uint8_t value = 0;
    if (it != out.end() && memory.read(address, &value, sizeof(value))) it->second = value != 0;
  }
  return out;
}

std::uint64_t word_at(const ProcessMemory& memory, std::uint64_t at) {
  std::uint64_t value = 0;
  return at != 0 && memory.read(at, &value, sizeof(value)) ? value : 0;
}

// The one of two names that this release has.
std::uint64_t either(const JavaTable& table, const char* one, const char* other) {
  return table.has(one) ? table.address(one) : table.address(other);
}

}  // namespace

Result<JavaHeap> read_java_heap(const ProcessMemory& memory, const JavaTable& table) {
  JavaHeap heap;
  auto flags = flags_of(memory, table);
  if (flags.empty()) return Error{"its flags are not understood", ENOTSUP, {}};
  // ZGC and Shenandoah move objects while the program runs. Parallel's full collections leave no trace of where an
  // object went, and keep its age: another one that slid to its old place would be taken for it.
  if (!flags["UseSerialGC"] && !flags["UseG1GC"])
    return Error{"its garbage collector does not show where objects go (G1 and Serial do)", ENOTSUP, {}};
  if (flags["UseCompressedOops"]) {
    heap.reference_size = 4;
    std::int32_t shift = -1;
    if (!memory.read(either(table, "CompressedOops::_base", "CompressedOops::_narrow_oop._base"), &heap.reference_base,
                     sizeof(heap.reference_base)) ||
        !memory.read(either(table, "CompressedOops::_shift", "CompressedOops::_narrow_oop._shift"), &shift,
                     sizeof(shift)) ||
        shift < 0 || shift > 8) {
      return Error{"how it writes references is not understood", ENOTSUP, {}};
    }
    heap.reference_shift = static_cast<std::uint8_t>(shift);
  }
  heap.class_at = static_cast<std::uint8_t>(table.offset("oopDesc::_metadata._compressed_klass"));
  heap.class_mask = UINT64_MAX;
  const bool compact = flags["UseCompactObjectHeaders"];
  if (compact || flags["UseCompressedClassPointers"]) {
    std::int32_t shift = -1;
    if (!memory.read(either(table, "CompressedKlassPointers::_base", "CompressedKlassPointers::_narrow_klass._base"),
                     &heap.class_base, sizeof(heap.class_base)) ||
        !memory.read(either(table, "CompressedKlassPointers::_shift", "CompressedKlassPointers::_narrow_klass._shift"),
                     &shift, sizeof(shift)) ||
        shift < 0 || shift > 16) {
      return Error{"how it writes classes is not understood", ENOTSUP, {}};
    }
    heap.class_unit = static_cast<std::uint8_t>(shift);
    heap.class_at = compact ? 0 : heap.class_at;
    heap.class_shift = compact ? kCompactShift : 0;
    heap.class_mask = compact ? UINT64_MAX >> kCompactShift : UINT32_MAX;
  }
  if (!compact && heap.class_at == 0) return Error{"how it writes classes is not understood", ENOTSUP, {}};
  const std::uint64_t collector = word_at(memory, table.address("Universe::_collectedHeap"));
  // JDK 21 and older: _is_gc_active.
  const std::uint16_t active = table.has("CollectedHeap::_is_stw_gc_active")
                                   ? table.offset("CollectedHeap::_is_stw_gc_active")
                                   : table.offset("CollectedHeap::_is_gc_active");
  const std::uint16_t number = table.offset("CollectedHeap::_total_collections");
  if (collector == 0) return Error{"it is still starting", EAGAIN, {}};
  if (active == 0 || number == 0) return Error{"how it counts collections is not understood", ENOTSUP, {}};
  heap.collecting = collector + active;
  heap.collections = collector + number;
  const std::uint16_t reserved = table.offset("CollectedHeap::_reserved");
  if (reserved != 0) {
    heap.begin = word_at(memory, collector + reserved);
    heap.end = heap.begin + word_at(memory, collector + reserved + sizeof(std::uint64_t)) * sizeof(std::uint64_t);
  }
  // Behind a header of two words of which the length of an array fills the last half.
  if (!compact && heap.class_mask == UINT32_MAX) heap.array = kArrayOfShortClasses;
  return heap;
}

std::uint64_t JavaObjects::word(std::uint64_t at) const {
  std::uint64_t value = 0;
  return at != 0 && read(at, &value, sizeof(value)) ? value : 0;
}

std::optional<std::uint64_t> JavaObjects::class_of(std::uint64_t object) const {
  std::uint64_t value = 0;
  if (object == 0 || !memory_.read(object + heap_.class_at, &value, sizeof(value))) return std::nullopt;
  return value >> heap_.class_shift & heap_.class_mask;
}

std::optional<std::string> JavaObjects::symbol(std::uint64_t at) const {
  std::uint16_t length = 0;
  if (at == 0 || !read(at + table_.offset("Symbol::_length"), &length, sizeof(length)) || length == 0 ||
      length > kMostSymbol) {
    return std::nullopt;
  }
  std::string out(length, '\0');
  if (!read(at + table_.offset("Symbol::_body"), out.data(), out.size())) return std::nullopt;
  return out;
}

std::optional<std::string> JavaObjects::name(std::uint64_t named) const {
  return symbol(word(klass(named) + table_.offset("Klass::_name")));
}

std::uint64_t JavaObjects::above(std::uint64_t named) const {
  const std::uint64_t super = word(klass(named) + table_.offset("Klass::_super"));
  return super <= heap_.class_base ? 0 : (super - heap_.class_base) >> heap_.class_unit;
}

bool JavaObjects::implements(std::uint64_t named, std::initializer_list<std::string_view> interfaces) const {
  // Array<T> of pointers: its length, and from the next word on its elements.
  const std::uint64_t all = word(klass(named) + table_.offset("InstanceKlass::_transitive_interfaces"));
  std::uint32_t length = 0;
  if (all == 0 || !read(all, &length, sizeof(length))) return false;
  for (std::uint32_t i = 1; i <= std::min(length, kMostInterfaces); ++i) {
    const auto its = symbol(word(word(all + i * sizeof(std::uint64_t)) + table_.offset("Klass::_name")));
    if (its && std::ranges::find(interfaces, *its) != interfaces.end()) return true;
  }
  return false;
}

void JavaObjects::find(JavaClasses& classes) const {
  each_new(classes.newest, [&classes](std::uint64_t named, const std::string& name) {
    if (classes.wanted.contains(name)) classes.found.emplace(name, named);
  });
}

void JavaObjects::each_new(std::map<std::uint64_t, std::uint64_t>& newest,
                           const std::function<void(std::uint64_t named, const std::string& name)>& told) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> lists;  // classes: the newest of each loader's, and up to which
  std::uint64_t loader = word(table_.address("ClassLoaderDataGraph::_head"));
  for (; loader != 0 && lists.size() < kMostLoaders; loader = word(loader + table_.offset("ClassLoaderData::_next"))) {
    if (newest.size() >= kMostLoaders && !newest.contains(loader)) break;
    const std::uint64_t first = word(loader + table_.offset("ClassLoaderData::_klasses"));
    lists.emplace_back(first, std::exchange(newest[loader], first));
  }
  by_pages_ = true;
  std::size_t looked = 0;
  for (const auto& [first, known] : lists) {
    for (std::uint64_t klass = first; klass != 0 && klass != known && looked < kMostClasses;
         klass = word(klass + table_.offset("Klass::_next_link"))) {
      ++looked;
      const auto name = symbol(word(klass + table_.offset("Klass::_name")));
      if (name && klass >= heap_.class_base) told((klass - heap_.class_base) >> heap_.class_unit, *name);
    }
  }
  by_pages_ = false;
  pages_.clear();
}

std::optional<std::string> JavaObjects::constant(std::uint64_t klass, std::uint32_t index) const {
  const std::uint64_t pool = word(klass + table_.offset("InstanceKlass::_constants"));
  return pool == 0 ? std::nullopt : symbol(word(pool + table_.size("ConstantPool") + index * sizeof(std::uint64_t)));
}

std::optional<std::uint16_t> JavaObjects::field_or_above(std::uint64_t named, const std::string& name) const {
  for (std::size_t i = 0; named != 0 && i < kMostAbove; ++i, named = above(named)) {
    if (const auto found = field(named, name)) return found;
  }
  return std::nullopt;
}

std::optional<std::uint16_t> JavaObjects::field(std::uint64_t named, const std::string& name) const {
  std::optional<std::uint16_t> found;
  each_field(klass(named), [&](std::uint32_t name_at, std::uint16_t offset) {
    if (constant(klass(named), name_at) == name) found = offset;
    return !found;
  });
  return found;
}

std::vector<std::pair<std::string, std::uint16_t>> JavaObjects::fields(std::uint64_t named) const {
  std::vector<std::pair<std::string, std::uint16_t>> out;
  each_field(klass(named), [&](std::uint32_t name_at, std::uint16_t offset) {
    if (auto name = constant(klass(named), name_at)) out.emplace_back(*std::move(name), offset);
    return true;
  });
  return out;
}

void JavaObjects::each_field(std::uint64_t klass, const TellField& told) const {
  if (table_.size("ConstantPool") == 0) return;
  if (table_.has("InstanceKlass::_fieldinfo_stream"))
    each_of_stream(klass, told);
  else
    each_of_array(klass, told);
}

void JavaObjects::each_of_array(std::uint64_t klass, const TellField& told) const {
  const std::uint64_t fields = word(klass + table_.offset("InstanceKlass::_fields"));
  std::uint16_t count = 0;
  if (fields == 0 || !read(klass + table_.offset("InstanceKlass::_java_fields_count"), &count, sizeof(count))) return;
  // All of Array<T> with small T begin alike.
  const std::uint64_t data = fields + table_.offset("Array<u1>::_data");
  for (std::uint32_t i = 0; i < count && i < kMostFields; ++i) {
    std::array<std::uint16_t, kFieldWords> words{};
    if (!read(data + i * sizeof(words), words.data(), sizeof(words))) return;
    const std::uint32_t packed = words[kLowWord] | std::uint32_t{words[kHighWord]} << 16U;
    if ((words[0] & kAccessStatic) != 0 || (packed & ((1U << kTagBits) - 1)) != kTagOffset ||
        packed >> kTagBits > kMostFieldOffset) {
      continue;
    }
    if (!told(words[kNameWord], static_cast<std::uint16_t>(packed >> kTagBits))) return;
  }
}

void JavaObjects::each_of_stream(std::uint64_t klass, const TellField& told) const {
  const std::uint64_t stream = word(klass + table_.offset("InstanceKlass::_fieldinfo_stream"));
  std::uint32_t length = 0;
  if (stream == 0 || !read(stream, &length, sizeof(length)) || length > kMostStream) return;
  std::vector<std::uint8_t> bytes(length);
  if (!read(stream + table_.offset("Array<u1>::_data"), bytes.data(), bytes.size())) return;
  Unsigned5 in(bytes);
  const std::uint32_t count = in.next();
  in.next();  // those HotSpot added
  for (std::uint32_t i = 0; i < count && i < kMostFields && !in.ended(); ++i) {
    const std::uint32_t name_at = in.next();
    in.next();  // its type
    const std::uint32_t offset = in.next();
    const std::uint32_t access = in.next();
    const std::uint32_t flags = in.next();
    for (const std::uint32_t more : {kHasInitializer, kHasGenericSignature, kHasContentionGroup}) {
      if ((flags & more) != 0) in.next();
    }
    if ((access & kAccessStatic) != 0 || offset > kMostFieldOffset) continue;
    if (!told(name_at, static_cast<std::uint16_t>(offset))) return;
  }
}

}  // namespace wirespan
