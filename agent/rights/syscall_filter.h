// A seccomp filter: the system calls an agent that has started still makes, and no others. A process whose parser was
// taken over by what it read can then neither start a program nor load one into the kernel.
#pragma once

#include <cstdint>

#include "base/counters.h"
#include "base/result.h"

namespace wirespan {

enum class Calls : std::uint8_t {
  kTracing,  // maps, uprobes and test runs of what is loaded; never a new program
  kReading,  // no bpf(2) and no perf_event_open(2): for recordings, which somebody else may have made
};
enum class OnRefusal : std::uint8_t {
  kFail,  // the call fails with EPERM, is counted, and its number is written to stderr the first time
  kLog,   // the call goes on; the kernel logs it (SECCOMP_RET_LOG)
};

// For this thread and those it starts, for good; sets no_new_privs. To be called while there is no other thread, and
// once: `refused` must live as long as the process makes system calls.
Status confine_calls(Calls calls, OnRefusal on_refusal, Counter& refused);

}  // namespace wirespan
