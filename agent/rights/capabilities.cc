#include "agent/rights/capabilities.h"

#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

namespace wirespan {
namespace {

constexpr std::array kAlways = {
    Capability{CAP_BPF, "CAP_BPF", "load programs and use their maps", "nothing can be traced", true},
    Capability{CAP_PERFMON, "CAP_PERFMON", "attach tracing programs that read kernel memory", "nothing can be traced",
               true},
    Capability{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "look into other users' processes: executable, environment, memory",
               "other users' processes are not found by --exe or --port, are named after their command, and goroutines "
               "and other runtimes' tasks are not seen"},
    Capability{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "read other users' files: /proc/PID/fd and executables",
               "other users' processes are not found by --port, their environment does not name them, and goroutines "
               "and other runtimes' tasks are not seen"},
};

// Kernels from 6.16 on, and older ones with that fix, let nobody else make uprobes ("perf: Revert to requiring
// CAP_SYS_ADMIN for uprobes").
constexpr Capability kForUprobes{CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
                                 "uprobes of Go, Python and Node programs, which this kernel asks it for",
                                 "goroutines, Python's tasks and Node's async ids are not seen", false};

constexpr CapabilitySet bit(unsigned number) {
  return CapabilitySet{1} << number;
}

// Older container runtimes know no CAP_BPF and no CAP_PERFMON; the kernel takes this for either.
constexpr CapabilitySet kSysAdmin = bit(CAP_SYS_ADMIN);
constexpr CapabilitySet kStoodInFor = bit(CAP_BPF) | bit(CAP_PERFMON);

using Halves = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

CapabilitySet effective() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Halves halves{};
  if (syscall(SYS_capget, &header, halves.data()) != 0) return 0;
  return halves[0].effective | static_cast<CapabilitySet>(halves[1].effective) << 32U;
}

bool keep_only(CapabilitySet keep) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Halves halves{};
  for (unsigned i = 0; i < halves.size(); ++i) {
    halves[i].effective = halves[i].permitted = static_cast<std::uint32_t>(keep >> (32U * i));
  }
  return syscall(SYS_capset, &header, halves.data()) == 0;
}

// Learned by trying, with CAP_SYS_ADMIN put aside: the kernel looks at rights before it looks at what is asked.
bool uprobes_ask_for_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Halves before{};
  std::uint32_t type = 0;
  std::ifstream("/sys/bus/event_source/devices/uprobe/type") >> type;
  if (type == 0 || syscall(SYS_capget, &header, before.data()) != 0 || (effective() & bit(CAP_PERFMON)) == 0)
    return false;
  Halves without = before;
  without[0].effective &= ~static_cast<std::uint32_t>(kSysAdmin);
  if (syscall(SYS_capset, &header, without.data()) != 0) return false;
  perf_event_attr nothing{};
  nothing.size = sizeof nothing;
  nothing.type = type;
  const long fd = syscall(SYS_perf_event_open, &nothing, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
  const bool asks = fd < 0 && errno == EACCES;
  if (fd >= 0) close(static_cast<int>(fd));
  syscall(SYS_capset, &header, before.data());
  return asks;
}

}  // namespace

std::span<const Capability> needed_capabilities() {
  static const std::vector<Capability> needed = [] {
    std::vector<Capability> all(kAlways.begin(), kAlways.end());
    if (uprobes_ask_for_admin()) all.push_back(kForUprobes);
    return all;
  }();
  return needed;
}

CapabilitySet held_capabilities() {
  const CapabilitySet held = effective();
  return (held & kSysAdmin) != 0 ? held | kStoodInFor : held;
}

std::vector<const Capability*> missing_capabilities(CapabilitySet held) {
  std::vector<const Capability*> missing;
  for (const Capability& capability : needed_capabilities()) {
    if ((held & bit(capability.number)) == 0) missing.push_back(&capability);
  }
  return missing;
}

void stop_inheritance() {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

Status give_up_capabilities(bool keep_needed) {
  CapabilitySet keep = 0;
  const CapabilitySet held = effective();
  if (keep_needed) {
    for (const Capability& capability : needed_capabilities()) keep |= held & bit(capability.number);
    if ((keep & kStoodInFor) != kStoodInFor) keep |= held & kSysAdmin;
  }
  stop_inheritance();
  // Takes CAP_SETPCAP, which root has: what is out of the bounding set no exec brings back.
  if ((held & bit(CAP_SETPCAP)) != 0) {
    for (unsigned number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
      if ((keep & bit(number)) == 0) prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    }
  }
  if (!keep_only(keep)) return errno_error("give up capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("forbid new privileges");
  return {};
}

}  // namespace wirespan
