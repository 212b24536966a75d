#include "agent/capture/probe_site.h"

#include <algorithm>
#include <array>
#include <span>

#include "agent/capture/capstone.h"

namespace wirespan {
namespace {

constexpr std::uint8_t kCall = 0xe8;

bool is_argument(std::uint16_t reg, std::size_t arguments) {
  constexpr std::array<std::array<x86_reg, 5>, 6> kArguments{
      {{X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, X86_REG_DIL},
       {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, X86_REG_SIL},
       {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
       {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
       {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, X86_REG_R8B},
       {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, X86_REG_R9B}}};
  return std::ranges::any_of(std::span(kArguments).first(std::min(arguments, kArguments.size())),
                             [reg](const auto& widths) { return std::ranges::find(widths, reg) != widths.end(); });
}

class Entry {
 public:
  Entry(const Capstone& capstone, const std::vector<std::uint8_t>& code) : capstone_(capstone), code_(code) {
    if (capstone.open(CS_ARCH_X86, CS_MODE_64, &handle_) != CS_ERR_OK) return;
    capstone.option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
    instruction_ = capstone.malloc(handle_);
  }
  ~Entry() {
    if (instruction_ != nullptr) capstone_.free(instruction_, 1);
    if (handle_ != 0) capstone_.close(&handle_);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  [[nodiscard]] std::size_t site(std::size_t arguments) {
    if (instruction_ == nullptr) return 0;
    const std::uint8_t* at = code_.data();
    std::size_t left = code_.size();
    std::uint64_t end = 0;
    while (capstone_.disasm_iter(handle_, &at, &left, &end, instruction_)) {
      const std::size_t begin = end - instruction_->size;
      // Not calls: where shadow stacks are on, an emulated one is not on them.
      if (code_[begin] != kCall && kernel_emulates(std::span(code_).subspan(begin, instruction_->size))) return begin;
      if (leaves() || writes_argument(arguments)) return 0;
    }
    return 0;
  }

 private:
  // Not every call need come to what follows.
  [[nodiscard]] bool leaves() const {
    const auto in = [this](unsigned group) { return capstone_.insn_group(handle_, instruction_, group); };
    return in(CS_GRP_JUMP) || in(CS_GRP_CALL) || in(CS_GRP_RET) || in(CS_GRP_INT) || in(CS_GRP_IRET);
  }
  [[nodiscard]] bool writes_argument(std::size_t arguments) const {
    cs_regs read;
    cs_regs written;
    std::uint8_t reads = 0;
    std::uint8_t writes = 0;
    if (capstone_.regs_access(handle_, instruction_, read, &reads, written, &writes) != CS_ERR_OK) return true;
    return std::ranges::any_of(std::span(written, writes),
                               [arguments](std::uint16_t reg) { return is_argument(reg, arguments); });
  }

  const Capstone& capstone_;
  const std::vector<std::uint8_t>& code_;
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
};

}  // namespace

// `push` of a register, jumps and calls with a distance, `nop`; none with a prefix but REX.B, nor the longer `nop`s,
// which came in 6.17.
bool kernel_emulates(std::span<const std::uint8_t> code) {
  const auto is_push = [](std::uint8_t byte) { return byte >= 0x50 && byte <= 0x57; };
  if (code.empty()) return false;
  const std::uint8_t first = code[0];
  const std::uint8_t second = code.size() > 1 ? code[1] : 0;
  if (is_push(first) || (first == 0x41 && is_push(second))) return true;
  if (first == 0x0f) return second >= 0x80 && second <= 0x8f;
  return (first >= 0x70 && first <= 0x7f) || first == 0x90 || first == kCall || first == 0xe9 || first == 0xeb;
}

std::size_t probe_site(const std::vector<std::uint8_t>& code, std::size_t arguments) {
  const auto capstone = Capstone::load();
  return capstone ? Entry(**capstone, code).site(arguments) : 0;
}

}  // namespace wirespan
