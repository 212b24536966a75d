#include "agent/capture/go_pclntab.h"

#include <algorithm>

namespace wirespan {
namespace {

constexpr std::uint32_t kMagic120 = 0xfffffff1;
constexpr std::size_t kEntry = 8;  // of functab: entryoff, funcoff, 32 bits each
constexpr std::size_t kLongestName = 4096;

// From `offset` on; empty when there is nothing.
Bytes from(Bytes bytes, std::uint64_t offset) {
  return offset < bytes.size() ? bytes.subspan(offset) : Bytes();
}

}  // namespace

std::optional<GoPclntab> GoPclntab::parse(Bytes section) {
  Reader reader(section);
  const auto magic = reader.le32();
  const auto pad = reader.le16();
  const auto quantum = reader.u8();
  const auto pointer = reader.u8();
  if (magic != kMagic120 || pad != 0 || !quantum || pointer != 8) return std::nullopt;
  const auto functions = reader.le64();
  static_cast<void>(reader.le64());  // files
  const auto text = reader.le64();
  const auto names_at = reader.le64();
  static_cast<void>(reader.take(3 * 8));  // cutab, filetab, pctab
  const auto functions_at = reader.le64();
  if (!functions_at) return std::nullopt;
  GoPclntab table;
  table.names_ = from(section, *names_at);
  table.functions_ = from(section, *functions_at);
  if (*functions > table.functions_.size() / kEntry) return std::nullopt;
  table.count_ = *functions;
  table.text_start_ = *text;
  return table;
}

std::optional<GoPclntab::Function> GoPclntab::at(std::size_t index) const {
  if (index >= count_) return std::nullopt;
  Reader entry(functions_.subspan(index * kEntry));
  const auto offset = entry.le32();
  const auto at = entry.le32();
  if (!at) return std::nullopt;
  // struct _func: entryOff uint32, nameOff int32.
  Reader function(from(functions_, *at));
  static_cast<void>(function.le32());
  const auto name_at = function.le32();
  if (!name_at) return std::nullopt;
  Bytes name = from(names_, *name_at);
  name = name.first(std::min(name.size(), kLongestName));
  const auto end = std::find(name.begin(), name.end(), std::uint8_t{0});
  if (end == name.end()) return std::nullopt;
  return Function{as_text(name.first(static_cast<std::size_t>(end - name.begin()))), *offset};
}

}  // namespace wirespan
