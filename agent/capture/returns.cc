#include "agent/capture/returns.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "agent/capture/capstone.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostInstructions = 4096;
constexpr std::uint64_t kMostCode = 4096;  // of a function whose size is not known
constexpr std::size_t kLongest = 15;       // instruction
constexpr int kMostJumpsOn = 3;
constexpr std::int64_t kWord = 8;

Error not_understood(const char* why) {
  return Error{why, ENOTSUP, {}};
}

class Flow {
 public:
  Flow(const Capstone& capstone, csh handle, cs_insn* instruction, const ReadCode& read)
      : capstone_(capstone), handle_(handle), instruction_(instruction), read_(read) {}

  // nullptr: understood.
  const char* follow(std::uint64_t start, std::uint64_t size) {
    first_ = start;
    last_ = start + (size == 0 ? kMostCode : size);
    open_.emplace_back(start, 0);
    while (!open_.empty()) {
      const auto [address, depth] = open_.back();
      open_.pop_back();
      if (const char* const why = step(address, depth)) return why;
    }
    return nullptr;
  }
  // Not in a part that lies elsewhere.
  [[nodiscard]] bool holds(std::uint64_t address) const { return address >= first_ && address < last_; }
  [[nodiscard]] const std::vector<std::uint64_t>& returns() const { return returns_; }
  [[nodiscard]] const std::set<std::uint64_t>& exits() const { return exits_; }
  [[nodiscard]] const std::set<std::uint64_t>& calls() const { return calls_; }
  [[nodiscard]] const auto& seen() const { return seen_; }

 private:
  struct Seen {
    std::uint64_t end = 0;
    std::int64_t depth = 0;
  };

  const char* step(std::uint64_t address, std::int64_t depth) {
    const auto next = seen_.lower_bound(address);
    if (next != seen_.end() && next->first == address) {
      return next->second.depth == depth ? nullptr : "its stack differs by the way it takes";
    }
    if (seen_.size() >= kMostInstructions) return "it is too long";
    const std::vector<std::uint8_t> code = read_(address, kLongest);
    const std::uint8_t* at = code.data();
    std::size_t left = code.size();
    std::uint64_t end = address;
    if (!capstone_.disasm_iter(handle_, &at, &left, &end, instruction_)) return "it has an unknown instruction";
    if (next != seen_.end() && next->first < end) return "its instructions overlap";
    if (next != seen_.begin() && std::prev(next)->second.end > address) return "its instructions overlap";
    seen_.emplace_hint(next, address, Seen{end, depth});
    return act(address, end, depth);
  }

  const char* act(std::uint64_t address, std::uint64_t end, std::int64_t depth) {
    const cs_x86& x86 = instruction_->detail->x86;
    switch (instruction_->id) {
      case X86_INS_RET:
        if (depth != 0 || x86.op_count != 0) return "it returns with a stack that is not understood";
        returns_.push_back(address);
        return nullptr;
      case X86_INS_UD2:
      case X86_INS_HLT:
      case X86_INS_INT3:
        return nullptr;
      default:
        break;
    }
    if (capstone_.insn_group(handle_, instruction_, CS_GRP_JUMP)) return jump(end, depth);
    if (!move_stack(x86, depth)) return "it moves its stack in a way that is not understood";
    open_.emplace_back(end, depth);
    return nullptr;
  }

  const char* jump(std::uint64_t end, std::int64_t depth) {
    const cs_x86& x86 = instruction_->detail->x86;
    if (x86.op_count != 1 || x86.operands[0].type != X86_OP_IMM) return "it jumps to where a register says";
    const auto to = static_cast<std::uint64_t>(x86.operands[0].imm);
    const bool always = instruction_->id == X86_INS_JMP;
    // With nothing on the stack it calls another function and lets that return. Conditions lead to parts of the
    // function itself, seldom used ones that lie elsewhere.
    if (always && depth == 0 && !holds(to)) {
      exits_.insert(to);
      return nullptr;
    }
    open_.emplace_back(to, depth);
    if (!always) open_.emplace_back(end, depth);
    return nullptr;
  }

  // `depth` afterwards: of bytes, negative below the return address.
  bool move_stack(const cs_x86& x86, std::int64_t& depth) {
    const auto& to = x86.operands[0];
    const auto& from = x86.operands[1];
    const bool of_stack = x86.op_count == 2 && to.type == X86_OP_REG && to.reg == X86_REG_RSP;
    const bool of_frame = x86.op_count == 2 && to.type == X86_OP_REG && to.reg == X86_REG_RBP;
    switch (instruction_->id) {
      case X86_INS_CALL:
        if (to.type == X86_OP_IMM) calls_.insert(static_cast<std::uint64_t>(to.imm));
        return true;
      case X86_INS_PUSH:
        depth -= kWord;
        return to.size == kWord;
      case X86_INS_POP:
        depth += kWord;
        return to.size == kWord && (to.type != X86_OP_REG || to.reg != X86_REG_RSP);
      case X86_INS_LEAVE:
        if (!frame_) return false;
        depth = *frame_ + kWord;
        return true;
      case X86_INS_SUB:
      case X86_INS_ADD:
        if (!of_stack) break;
        depth += instruction_->id == X86_INS_ADD ? from.imm : -from.imm;
        return from.type == X86_OP_IMM;
      case X86_INS_LEA:
        if (!of_stack) break;
        if (from.mem.index != X86_REG_INVALID) return false;
        if (from.mem.base == X86_REG_RSP) {
          depth += from.mem.disp;
          return true;
        }
        if (from.mem.base != X86_REG_RBP || !frame_) return false;
        depth = *frame_ + from.mem.disp;
        return true;
      case X86_INS_MOV:
        if (!of_frame || from.type != X86_OP_REG || from.reg != X86_REG_RSP) break;
        if (frame_ && *frame_ != depth) return false;
        frame_ = depth;
        return true;
      default:
        break;
    }
    return !writes_stack_pointer();
  }

  bool writes_stack_pointer() {
    cs_regs read;
    cs_regs written;
    std::uint8_t reads = 0;
    std::uint8_t writes = 0;
    if (capstone_.regs_access(handle_, instruction_, read, &reads, written, &writes) != CS_ERR_OK) return true;
    return std::ranges::any_of(std::span(written, writes), [](std::uint16_t reg) {
      return reg == X86_REG_RSP || reg == X86_REG_ESP || reg == X86_REG_SP || reg == X86_REG_SPL;
    });
  }

  const Capstone& capstone_;
  csh handle_;
  cs_insn* instruction_;
  const ReadCode& read_;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::vector<std::pair<std::uint64_t, std::int64_t>> open_;
  std::map<std::uint64_t, Seen> seen_;
  std::optional<std::int64_t> frame_;  // what rbp is, where it is of this function
  std::vector<std::uint64_t> returns_;
  std::set<std::uint64_t> exits_;
  std::set<std::uint64_t> calls_;
};

class Disassembler {
 public:
  explicit Disassembler(const Capstone& capstone) : capstone_(capstone) {
    if (capstone.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return;
    capstone.option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    instruction = capstone.malloc(handle);
  }
  ~Disassembler() {
    if (instruction != nullptr) capstone_.free(instruction, 1);
    if (handle != 0) capstone_.close(&handle);
  }
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;

  csh handle = 0;
  cs_insn* instruction = nullptr;

 private:
  const Capstone& capstone_;
};

}  // namespace

Result<WaysOut> ways_out_of(std::uint64_t address, std::uint64_t size, const ReadCode& read) {
  const auto capstone = Capstone::load();
  if (!capstone) return capstone.error();
  const Disassembler disassembler(**capstone);
  if (disassembler.instruction == nullptr) return not_understood("libcapstone does not know amd64");
  Flow flow(**capstone, disassembler.handle, disassembler.instruction, read);
  if (const char* const why = flow.follow(address, size)) return not_understood(why);
  WaysOut out{
      flow.returns(), {flow.exits().begin(), flow.exits().end()}, {flow.calls().begin(), flow.calls().end()}, {}};
  for (const auto& [at, seen] : flow.seen()) out.code.push_back(at);
  std::ranges::sort(out.returns);
  return out;
}

Result<std::vector<std::uint64_t>> returns_of(std::uint64_t address, std::uint64_t size, const ReadCode& read) {
  const auto capstone = Capstone::load();
  if (!capstone) return capstone.error();
  const Disassembler disassembler(**capstone);
  if (disassembler.instruction == nullptr) return not_understood("libcapstone does not know amd64");
  std::vector<std::uint64_t> out;
  for (int i = 0; i <= kMostJumpsOn; ++i) {
    Flow flow(**capstone, disassembler.handle, disassembler.instruction, read);
    if (const char* const why = flow.follow(address, size)) return not_understood(why);
    out.insert(out.end(), flow.returns().begin(), flow.returns().end());
    if (flow.exits().empty()) {
      if (out.empty()) return not_understood("it never returns");
      std::ranges::sort(out);
      out.erase(std::unique(out.begin(), out.end()), out.end());
      return out;
    }
    // One that returns and sometimes ends in another: that one may be everybody's.
    if (flow.exits().size() != 1 || std::ranges::any_of(flow.returns(), [&](auto at) { return flow.holds(at); })) break;
    address = *flow.exits().begin();
    size = 0;
  }
  return not_understood("it ends in other functions");
}

}  // namespace wirespan
