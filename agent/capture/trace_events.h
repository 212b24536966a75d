// The kernel's trace events, by which perf attaches programs to tracepoints: tracefs has their numbers. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace wirespan {

// `event` as "sock/sock_send_length". Where tracefs is mounted nowhere (containers), it is looked at without mounting
// it, which takes CAP_SYS_ADMIN.
[[nodiscard]] Result<std::uint32_t> trace_event_number(const std::string& event);

// Some distributions let only CAP_SYS_ADMIN open any event of perf, whatever CAP_PERFMON is for.
[[nodiscard]] Status may_open_trace_events();

// A descriptor to attach a program to: the event on all CPUs.
[[nodiscard]] Result<int> open_trace_event(std::uint32_t number);

}  // namespace wirespan
