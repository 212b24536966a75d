#include "agent/capture/java_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/capture/elf_file.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostEntries = 8192;
constexpr std::uint64_t kMostStride = 256;
constexpr std::size_t kMostName = 96;
constexpr std::uint64_t kMostOffset = 16'384;  // of a field: it must fit into 16 bits with room to spare
constexpr std::array<std::string_view, 19> kAskedFor{
    "Thread",         "JavaThread", "OSThread",  "ThreadsList",    "ThreadsSMRSupport",       "Klass",
    "InstanceKlass",  "Symbol",     "oopDesc",   "CompressedOops", "CompressedKlassPointers", "Universe",
    "CollectedHeap",  "JVMFlag",    "Array<u1>", "ConstantPool",   "ClassLoaderData",         "ClassLoaderDataGraph",
    "JavaFrameAnchor"};

const Error kNotUnderstood{"its table of fields is not understood", ENOTSUP, {}};

bool asked_for(std::string_view type) {
  return std::ranges::find(kAskedFor, type) != kAskedFor.end();
}

// One of the table's entries.
class Entry {
 public:
  explicit Entry(std::size_t size) : bytes_(size) {}
  bool read(const ProcessMemory& memory, std::uint64_t at) { return memory.read(at, bytes_.data(), bytes_.size()); }
  template <class T>
  [[nodiscard]] T get(std::uint64_t from) const {
    T value{};
    std::memcpy(&value, &bytes_[from], sizeof(value));
    return value;
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace

Result<JavaSymbols> read_java_symbols(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  if ((*file)->arm64()) return Error{"Java's threads are only found on amd64", ENOTSUP, {}};
  JavaSymbols out;
  out.base = (*file)->base();
  const std::array<std::pair<const char*, std::uint64_t*>, 11> wanted{
      {{"gHotSpotVMStructs", &out.table},
       {"gHotSpotVMStructEntryArrayStride", &out.stride},
       {"gHotSpotVMStructEntryTypeNameOffset", &out.type_name},
       {"gHotSpotVMStructEntryFieldNameOffset", &out.field_name},
       {"gHotSpotVMStructEntryIsStaticOffset", &out.is_static},
       {"gHotSpotVMStructEntryOffsetOffset", &out.offset},
       {"gHotSpotVMStructEntryAddressOffset", &out.address},
       {"gHotSpotVMTypes", &out.types},
       {"gHotSpotVMTypeEntryArrayStride", &out.types_stride},
       {"gHotSpotVMTypeEntryTypeNameOffset", &out.types_name},
       {"gHotSpotVMTypeEntrySizeOffset", &out.types_size}}};
  (*file)->visit_dynamic_symbols([&](const char* name, const GElf_Sym& symbol) {
    if (std::strncmp(name, "gHotSpot", 8) != 0) return;
    for (const auto& [of, to] : wanted) {
      if (std::strcmp(name, of) == 0) *to = symbol.st_value;
    }
  });
  if (std::ranges::any_of(wanted, [](const auto& one) { return *one.second == 0; }))
    return Error{"its libjvm is none of HotSpot's", ENOENT, {}};
  return out;
}

Result<JavaTable> JavaTable::read(const ProcessMemory& memory, std::uint64_t bias, const JavaSymbols& symbols) {
  std::array<std::uint64_t, 11> how{};
  const std::array<std::uint64_t, 11> at{
      symbols.table,   symbols.stride, symbols.type_name,    symbols.field_name, symbols.is_static, symbols.offset,
      symbols.address, symbols.types,  symbols.types_stride, symbols.types_name, symbols.types_size};
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (!memory.read(at[i] + bias, &how[i], sizeof(how[i])))
      return Error{"its memory cannot be read", errno == 0 ? EIO : errno, {}};
  }
  const auto [table, stride, type_name, field_name, is_static, offset, address, types, types_stride, types_name,
              types_size] = how;
  if (table == 0 || types == 0) return Error{"it is still starting", EAGAIN, {}};
  if (stride == 0 || stride > kMostStride || std::max({type_name, field_name, offset, address}) + 8 > stride ||
      is_static + 4 > stride || types_stride == 0 || types_stride > kMostStride ||
      std::max(types_name, types_size) + 8 > types_stride) {
    return kNotUnderstood;
  }
  JavaTable out;
  Entry entry(stride);
  for (std::size_t i = 0; i < kMostEntries && entry.read(memory, table + i * stride); ++i) {
    const auto type = memory.text(entry.get<std::uint64_t>(type_name), kMostName);
    if (!type) break;  // the table ends with an empty entry
    if (!asked_for(*type)) continue;
    const auto field = memory.text(entry.get<std::uint64_t>(field_name), kMostName);
    if (!field) continue;
    const bool fixed = entry.get<std::int32_t>(is_static) != 0;
    out.fields_[*type + "::" + *field] = {entry.get<std::uint64_t>(offset),
                                          fixed ? entry.get<std::uint64_t>(address) : 0};
  }
  Entry sort(types_stride);
  for (std::size_t i = 0; i < kMostEntries && sort.read(memory, types + i * types_stride); ++i) {
    const auto type = memory.text(sort.get<std::uint64_t>(types_name), kMostName);
    if (!type) break;
    if (asked_for(*type)) out.sizes_[*type] = sort.get<std::uint64_t>(types_size);
  }
  return out;
}

std::uint16_t JavaTable::offset(const char* field) const {
  const auto it = fields_.find(field);
  return it == fields_.end() || it->second.offset > kMostOffset ? 0 : static_cast<std::uint16_t>(it->second.offset);
}

std::uint64_t JavaTable::address(const char* field) const {
  const auto it = fields_.find(field);
  return it == fields_.end() ? 0 : it->second.address;
}

std::uint64_t JavaTable::size(const char* type) const {
  const auto it = sizes_.find(type);
  return it == sizes_.end() ? 0 : it->second;
}

}  // namespace wirespan
