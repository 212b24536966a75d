#include "agent/capture/tokio_code.h"

#include <map>
#include <set>

#include "agent/capture/capstone.h"

namespace wirespan {
namespace {

constexpr std::int64_t kWord = 8;
constexpr std::size_t kMostJumps = 256;
constexpr std::uint8_t kTwoWords = 16;

// What is known while a function is gone through in the order of its code: which registers point into thread-locals.
class Walk {
 public:
  Walk(std::int64_t from, std::int64_t to) : from_(from), to_(to) {}

  void step(const cs_insn& instruction) {
    const cs_x86& x86 = instruction.detail->x86;
    // Where ways meet, what is known on one of them is taken for both: the other has just set the variable up.
    if (const auto known = at_jumps_.find(instruction.address); known != at_jumps_.end())
      pointers_.insert(known->second.begin(), known->second.end());
    if (x86.op_count == 1 && x86.operands[0].type == X86_OP_IMM && instruction.id != X86_INS_CALL) {
      if (at_jumps_.size() < kMostJumps)
        at_jumps_[static_cast<std::uint64_t>(x86.operands[0].imm)].insert(pointers_.begin(), pointers_.end());
      return;
    }
    if (instruction.id == X86_INS_CALL) return forget_scratch();
    if (x86.op_count != 2) return;
    const cs_x86_op& to = x86.operands[0];
    const cs_x86_op& from = x86.operands[1];
    const bool loads = to.type == X86_OP_REG && from.type == X86_OP_MEM;
    const bool stores = to.type == X86_OP_MEM && (from.type == X86_OP_REG || from.type == X86_OP_IMM);
    if (instruction.id == X86_INS_LEA) return point(to.reg, address(from.mem));
    const bool exchanges = instruction.id == X86_INS_XCHG;
    if (const auto at = address(loads ? from.mem : to.mem); at && (loads || stores)) {
      const std::uint8_t size = loads ? from.size : to.size;
      if (loads || exchanges) note(loaded_, *at, size);
      if (stores || exchanges) note(stored_, *at, size);
    }
    if (to.type != X86_OP_REG || instruction.id == X86_INS_CMP || instruction.id == X86_INS_TEST) return;
    // The thread pointer itself stands at its own address.
    if (loads && from.mem.segment == X86_REG_FS && from.mem.base == X86_REG_INVALID && from.mem.disp == 0)
      return point(to.reg, 0);
    if (instruction.id == X86_INS_MOV && from.type == X86_OP_REG) return point(to.reg, pointed(from.reg));
    point(to.reg, std::nullopt);
  }

  [[nodiscard]] std::optional<ExchangedWord> result() const {
    std::set<std::int64_t> both;
    for (const std::int64_t at : stored_) {
      if (loaded_.contains(at)) both.insert(at);
    }
    if (both.empty() || both.size() > 2) return std::nullopt;
    const bool tagged = both.size() == 2;
    if (tagged && *both.begin() + kWord != *both.rbegin()) return std::nullopt;
    return ExchangedWord{static_cast<std::int32_t>(*both.rbegin()), tagged};
  }

 private:
  using Where = std::optional<std::int64_t>;

  // From the thread pointer.
  [[nodiscard]] Where address(const x86_op_mem& mem) const {
    if (mem.index != X86_REG_INVALID) return std::nullopt;
    if (mem.segment == X86_REG_FS) return mem.base == X86_REG_INVALID ? Where(mem.disp) : std::nullopt;
    const Where base = pointed(mem.base);
    return base ? Where(*base + mem.disp) : std::nullopt;
  }
  [[nodiscard]] Where pointed(x86_reg reg) const {
    const auto it = pointers_.find(reg);
    return it == pointers_.end() ? std::nullopt : Where(it->second);
  }
  void point(x86_reg reg, Where where) {
    pointers_.erase(reg);
    if (where) pointers_.emplace(reg, *where);
  }
  void forget_scratch() {
    for (const x86_reg reg : {X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RSI, X86_REG_RDI, X86_REG_R8, X86_REG_R9,
                              X86_REG_R10, X86_REG_R11}) {
      pointers_.erase(reg);
    }
  }
  void note(std::set<std::int64_t>& to, std::int64_t at, std::uint8_t size) const {
    if (size != kWord && size != kTwoWords) return;
    for (std::int64_t word = at; word < at + size; word += kWord) {
      if (word >= from_ && word < to_) to.insert(word);
    }
  }

  std::int64_t from_;
  std::int64_t to_;
  std::map<x86_reg, std::int64_t> pointers_;
  std::map<std::uint64_t, std::map<x86_reg, std::int64_t>> at_jumps_;  // by where they go
  std::set<std::int64_t> loaded_;
  std::set<std::int64_t> stored_;
};

}  // namespace

std::optional<ExchangedWord> exchanged_word(const std::vector<std::uint8_t>& code, std::int32_t from, std::int32_t to) {
  const auto loaded = Capstone::load();
  if (!loaded) return std::nullopt;
  const Capstone& capstone = **loaded;
  csh handle = 0;
  if (capstone.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return std::nullopt;
  capstone.option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  cs_insn* const instruction = capstone.malloc(handle);
  Walk walk(from, to);
  const std::uint8_t* at = code.data();
  std::size_t left = code.size();
  std::uint64_t address = 0;
  while (instruction != nullptr && left != 0 && capstone.disasm_iter(handle, &at, &left, &address, instruction)) {
    walk.step(*instruction);
  }
  if (instruction != nullptr) capstone.free(instruction, 1);
  capstone.close(&handle);
  return left == 0 ? walk.result() : std::nullopt;
}

}  // namespace wirespan
