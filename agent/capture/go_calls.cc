#include "agent/capture/go_calls.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/capture/capstone.h"

namespace wirespan {
namespace {

constexpr std::uint8_t kCall = 0xe8;  // call rel32
constexpr std::size_t kCallBytes = 5;

// Whether instructions begin at all of `offsets` (ascending), counted from the code's first: five bytes that look like
// a call may be the middle of others.
bool instructions_begin_at(Bytes code, std::span<const std::size_t> offsets) {
  const auto loaded = Capstone::load();
  if (!loaded) return false;
  const Capstone& cs = **loaded;
  csh handle = 0;
  if (cs.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return false;
  cs_insn* const instruction = cs.malloc(handle);
  const std::uint8_t* at = code.data();
  std::size_t left = code.size();
  std::uint64_t offset = 0;
  std::size_t seen = 0;
  while (instruction != nullptr && seen < offsets.size() && offset <= offsets[seen]) {
    if (offset == offsets[seen]) ++seen;
    if (!cs.disasm_iter(handle, &at, &left, &offset, instruction)) break;
  }
  if (instruction != nullptr) cs.free(instruction, 1);
  cs.close(&handle);
  return seen == offsets.size();
}

}  // namespace

GoCalls::GoCalls(std::vector<std::uint64_t> targets, bool arm64)
    : targets_(std::move(targets)), arm64_(arm64), calls_(targets_.size()) {}

void GoCalls::found(std::size_t target, std::uint64_t address) {
  calls_[target].push_back(address);
  failed_ = failed_ || ++count_ > kMost;
}

void GoCalls::look_at(Bytes code, std::uint64_t address) {
  if (failed_) return;
  arm64_ ? look_at_arm64(code, address) : look_at_amd64(code, address);
}

void GoCalls::look_at_amd64(Bytes code, std::uint64_t address) {
  std::vector<std::size_t> offsets;
  std::vector<std::size_t> whose;
  for (std::size_t i = 0; i + kCallBytes <= code.size(); ++i) {
    const auto* next = static_cast<const std::uint8_t*>(std::memchr(code.data() + i, kCall, code.size() - i));
    if (next == nullptr) break;
    i = static_cast<std::size_t>(next - code.data());
    if (i + kCallBytes > code.size()) break;
    std::int32_t distance = 0;
    std::memcpy(&distance, next + 1, sizeof(distance));
    const std::uint64_t to = address + i + kCallBytes + static_cast<std::uint64_t>(std::int64_t{distance});
    const auto target = std::ranges::find(targets_, to);
    if (to == 0 || target == targets_.end()) continue;
    offsets.push_back(i);
    whose.push_back(static_cast<std::size_t>(target - targets_.begin()));
  }
  if (offsets.empty()) return;
  if (!instructions_begin_at(code, offsets)) {
    failed_ = true;
    return;
  }
  for (std::size_t i = 0; i < offsets.size(); ++i) found(whose[i], address + offsets[i]);
}

void GoCalls::look_at_arm64(Bytes code, std::uint64_t address) {
  constexpr std::uint32_t kBranchAndLink = 0x94000000;  // bl, and a distance of 26 bits in words
  for (std::size_t i = 0; i + 4 <= code.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, code.data() + i, sizeof(word));
    if ((word & 0xfc000000U) != kBranchAndLink) continue;
    const auto words = static_cast<std::int32_t>(word << 6U) >> 6;
    const std::uint64_t to = address + i + static_cast<std::uint64_t>(std::int64_t{words} * 4);
    const auto target = std::ranges::find(targets_, to);
    if (to != 0 && target != targets_.end()) found(static_cast<std::size_t>(target - targets_.begin()), address + i);
  }
}

std::optional<std::vector<std::vector<std::uint64_t>>> GoCalls::take() && {
  if (failed_) return std::nullopt;
  return std::move(calls_);
}

}  // namespace wirespan
