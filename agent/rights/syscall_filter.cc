#include "agent/rights/syscall_filter.h"

#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <memory>
#include <span>
#include <string_view>

namespace wirespan {
namespace {

// Names that an architecture does not have are left out by libseccomp.
constexpr int kAllowed[] = {
    // memory
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    // files: /proc, executables, certificates, exports; a socket's file at the end
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(read), SCMP_SYS(pread64),
    SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(pwrite64), SCMP_SYS(writev), SCMP_SYS(lseek),
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(ftruncate),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    // time
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time),
    // signals, and the end of a command we launched
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(wait4), SCMP_SYS(waitid),
    // waiting
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    // sockets; those that listen do so before
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(socketpair),
    // about itself
    SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrusage), SCMP_SYS(getrlimit), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrandom),
    SCMP_SYS(capget)};

// Of bpf(2): what is loaded goes on working, and uprobes come and go with the Go programs that run. Not among them:
// loading programs and types, making maps, pinning, and reaching objects of others by their number.
constexpr int kBpfCommands[] = {BPF_MAP_LOOKUP_ELEM,  BPF_MAP_UPDATE_ELEM,    BPF_MAP_DELETE_ELEM,
                                BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_BATCH,   BPF_MAP_LOOKUP_AND_DELETE_ELEM,
                                BPF_PROG_TEST_RUN,    BPF_OBJ_GET_INFO_BY_FD, BPF_LINK_CREATE,
                                BPF_LINK_DETACH,      BPF_ITER_CREATE};

constexpr int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};  // netlink: getaddrinfo asks for addresses
constexpr int kNames[] = {PR_SET_NAME, PR_SET_VMA};                    // of threads and of malloc's memory

// For the signal handler.
std::atomic<Counter*> refusals{nullptr};
std::array<std::atomic<bool>, 1024> told{};

// Async-signal-safe. The call did not happen: the thread goes on as if it had failed.
void on_refused(int /*signal*/, siginfo_t* info, void* context) {
  auto* const machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  machine->gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
  machine->regs[0] = static_cast<std::uint64_t>(-EPERM);
#else
#error "where does this architecture return the result of a system call?"
#endif
  if (Counter* counter = refusals.load(); counter != nullptr) counter->add();
  const auto number = static_cast<std::size_t>(info->si_syscall);
  if (number >= told.size() || told[number].exchange(true)) return;
  constexpr std::string_view kBefore = "wirespan: self.sandbox refused system call ";
  std::array<char, kBefore.size() + 16> line{};
  kBefore.copy(line.data(), kBefore.size());
  const auto [end, failed] = std::to_chars(line.data() + kBefore.size(), line.data() + line.size() - 1, number);
  *end = '\n';
  const int before = errno;
  [[maybe_unused]] const auto written =
      ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(end - line.data() + 1));
  errno = before;
}

class Filter {
 public:
  explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise), seccomp_release) {
    if (context_ == nullptr) failed_ = -ENOMEM;
  }
  void attribute(scmp_filter_attr name, std::uint32_t value) {
    if (failed_ == 0) failed_ = seccomp_attr_set(context_.get(), name, value);
  }
  void allow(int call) { add(SCMP_ACT_ALLOW, call, {}); }
  void allow(int call, scmp_arg_cmp argument) { add(SCMP_ACT_ALLOW, call, {&argument, 1}); }
  void fail(int call, int error) { add(SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call, {}); }
  // A kernel without an attribute (-EOPNOTSUPP) is no reason to go without the filter.
  void attribute_if_known(scmp_filter_attr name, std::uint32_t value) {
    if (failed_ == 0) seccomp_attr_set(context_.get(), name, value);
  }
  [[nodiscard]] int load() { return failed_ != 0 ? failed_ : seccomp_load(context_.get()); }

 private:
  void add(std::uint32_t action, int call, std::span<const scmp_arg_cmp> arguments) {
    if (failed_ != 0) return;
    failed_ =
        seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(arguments.size()), arguments.data());
  }
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failed_ = 0;
};

scmp_arg_cmp argument_is(unsigned index, int value) {
  return {index, SCMP_CMP_MASKED_EQ, 0xffffffffU, static_cast<std::uint32_t>(value)};
}

}  // namespace

Status confine_calls(Calls calls, OnRefusal on_refusal, Counter& refused) {
  refusals = &refused;
  struct sigaction action{};
  action.sa_sigaction = on_refused;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  if (sigaction(SIGSYS, &action, nullptr) != 0) return errno_error("watch for refused system calls");

  Filter filter(on_refusal == OnRefusal::kLog ? SCMP_ACT_LOG : SCMP_ACT_TRAP);
  for (const int call : kAllowed) filter.allow(call);
  for (const int family : kFamilies) filter.allow(SCMP_SYS(socket), argument_is(0, family));
  for (const int name : kNames) filter.allow(SCMP_SYS(prctl), argument_is(0, name));
  // Threads, not processes. What clone3 does cannot be looked at; without it the C library takes clone.
  filter.allow(SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD});
  filter.fail(SCMP_SYS(clone3), ENOSYS);
  // Signals to itself, for abort(); limits of itself, to read.
  filter.allow(SCMP_SYS(tgkill), argument_is(0, getpid()));
  filter.allow(SCMP_SYS(prlimit64), {2, SCMP_CMP_EQ, 0, 0});
  if (calls == Calls::kTracing) {
    for (const int command : kBpfCommands) filter.allow(SCMP_SYS(bpf), argument_is(0, command));
    filter.allow(SCMP_SYS(perf_event_open));
  }
  // Otherwise kernels before 5.16 slow the thread down against speculation, which a filter is no reason for.
  filter.attribute_if_known(SCMP_FLTATR_CTL_SSB, 1);
  filter.attribute_if_known(SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (const int failed = filter.load(); failed != 0) return Error{"confine its own system calls", -failed, {}};
  return {};
}

}  // namespace wirespan
