// /proc, read carefully: every process may be gone between two reads, and what it shows is written by strangers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/event.h"

namespace wirespan::proc {

// Facts of a process; `time` is left to the caller. nullopt: it is gone.
[[nodiscard]] std::optional<event::Process> read_process(std::uint32_t pid);

// Every process of this pid namespace.
[[nodiscard]] std::vector<std::uint32_t> all_pids();
// 0 when it is gone.
[[nodiscard]] std::uint32_t parent_of(std::uint32_t pid);
// Path of the executable as the process sees it, "" when gone or a kernel thread.
[[nodiscard]] std::string exe_of(std::uint32_t pid);

// Whether it has an epoll descriptor; true as well when it has too many descriptors to look at.
[[nodiscard]] bool has_epoll(std::uint32_t pid);

// What /proc/PID/cgroup says; "" when it is gone.
[[nodiscard]] std::string cgroups_of(std::uint32_t pid);

// Process ids below a cgroup directory, its descendants included. At most `limit`.
[[nodiscard]] std::vector<std::uint32_t> pids_of_cgroup(const std::string& directory, std::size_t limit);

// pid -> TCP ports it listens on, in its own network namespace.
struct Listener {
  std::uint32_t pid;
  std::uint16_t port;
};
[[nodiscard]] std::vector<Listener> listeners(const std::vector<std::uint32_t>& pids);

}  // namespace wirespan::proc
