#include "agent/capture/trap_cost.h"

#include <link.h>

#include <algorithm>
#include <chrono>
#include <utility>

#if defined(__x86_64__)
asm(R"(
  .text
  .globl wirespan_probed_push, wirespan_probed_sub
  .type wirespan_probed_push, @function
  .type wirespan_probed_sub, @function
wirespan_probed_push:
  push %rbx
  pop %rbx
  ret
wirespan_probed_sub:
  sub $8, %rsp
  add $8, %rsp
  ret
)");
extern "C" {
void wirespan_probed_push();
void wirespan_probed_sub();
}
#endif

namespace wirespan {
namespace {

using Function = void (*)();

constexpr int kBatches = 4;
constexpr int kCalls = 16;

// Of the address in this program's file; 0: not found.
std::uint64_t offset_of(std::uint64_t address) {
  struct Search {
    std::uint64_t address;
    std::uint64_t offset = 0;
  } search{address};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        Search& wanted = *static_cast<Search*>(data);
        for (const auto& header : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
          const std::uint64_t start = info->dlpi_addr + header.p_vaddr;
          if (header.p_type != PT_LOAD || wanted.address < start || wanted.address >= start + header.p_memsz) continue;
          wanted.offset = wanted.address - start + header.p_offset;
        }
        return 1;  // the first is the program itself
      },
      &search);
  return search.offset;
}

double least_ns(Function function) {
  using Steady = std::chrono::steady_clock;
  double least = 1e9;
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto began = Steady::now();
    for (int i = 0; i < kCalls; ++i) function();
    const std::chrono::duration<double, std::nano> took = Steady::now() - began;
    least = std::min(least, took.count() / kCalls);
  }
  return least;
}

}  // namespace

TrapCost measure_trap_cost(const std::function<Result<Uprobes>(const std::string& path, std::uint64_t offset)>& attach,
                           const std::function<void(Uprobes probe)>& detach) {
  TrapCost out;
#if defined(__x86_64__)
  const auto measure = [&](Function function, double& cost) {
    const std::uint64_t offset = offset_of(reinterpret_cast<std::uint64_t>(function));  // NOLINT(*-reinterpret-cast)
    if (offset == 0) return;
    auto probe = attach("/proc/self/exe", offset);
    if (!probe) return;
    cost = least_ns(function);
    detach(std::move(*probe));
  };
  measure(wirespan_probed_push, out.emulated_ns);
  measure(wirespan_probed_sub, out.stepped_ns);
#else
  static_cast<void>(attach);
  static_cast<void>(detach);
#endif
  return out;
}

}  // namespace wirespan
