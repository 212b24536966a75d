#include "agent/capture/uprobes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

namespace wirespan {
namespace {

// include/uapi/linux/bpf.h of 6.6; older headers do not have them.
constexpr int kTraceUprobeMulti = 48;  // enum bpf_attach_type
struct UprobeMultiLink {
  std::uint32_t program;
  std::uint32_t target;
  std::uint32_t attach_type;
  std::uint32_t flags;
  std::uint64_t path;
  std::uint64_t offsets;
  std::uint64_t ref_ctr_offsets;
  std::uint64_t cookies;
  std::uint32_t count;
  std::uint32_t multi_flags;
  std::uint32_t pid;
  std::uint32_t unused;
};

constexpr std::size_t kMostThreads = 8;

// A descriptor; negative: errno.
int create_link(int program, const char* path, std::span<const std::uint64_t> offsets, std::uint32_t pid) {
  UprobeMultiLink link{};
  link.program = static_cast<std::uint32_t>(program);
  link.attach_type = kTraceUprobeMulti;
  link.path = reinterpret_cast<std::uintptr_t>(path);
  link.offsets = reinterpret_cast<std::uintptr_t>(offsets.data());
  link.count = static_cast<std::uint32_t>(offsets.size());
  link.pid = pid;
  return static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link)));
}

bool try_uprobe_multi() {
  const bpf_insn nothing[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = static_cast<bpf_attach_type>(kTraceUprobeMulti);
  const int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, nullptr, "GPL", nothing, std::size(nothing), &options);
  if (program < 0) return false;
  // A folder is no file to probe: EBADF from kernels with such links. Where they tell processes from threads, a process
  // that cannot be is refused before (EINVAL, commit 46ba0e49b642).
  constexpr std::uint64_t kAnywhere = 1;
  const bool has = create_link(program, "/", std::span(&kAnywhere, 1), 0) < 0 && errno == EBADF;
  const bool processes = create_link(program, "/", std::span(&kAnywhere, 1), ~0U) < 0 && errno == EINVAL;
  close(program);
  return has && processes;
}

}  // namespace

bool kernel_has_uprobe_multi() {
  static const bool has = try_uprobe_multi();
  return has;
}

void prepare_for_one_link(bpf_program* program) {
  bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(kTraceUprobeMulti));
}

Result<Uprobes> Uprobes::attach(const bpf_program* program, bool one_link, const std::string& path,
                                std::span<const std::uint64_t> offsets, std::uint32_t pid) {
  Uprobes probes;
  if (one_link) {
    probes.one_ = create_link(bpf_program__fd(program), path.c_str(), offsets, pid);
    if (probes.one_ < 0) return Error{std::string("attach ") + bpf_program__name(program), errno, {}};
    return probes;
  }
  for (const std::uint64_t offset : offsets) {
    LIBBPF_OPTS(bpf_uprobe_opts, options);
    bpf_link* const link =
        bpf_program__attach_uprobe_opts(program, pid == 0 ? -1 : static_cast<int>(pid), path.c_str(), offset, &options);
    if (link == nullptr) return Error{std::string("attach ") + bpf_program__name(program), errno, {}};
    probes.links_.push_back(link);
  }
  return probes;
}

Uprobes::~Uprobes() {
  for (bpf_link* const link : links_) bpf_link__destroy(link);
  if (one_ >= 0) close(one_);
}

Uprobes::Uprobes(Uprobes&& other) noexcept
    : links_(std::exchange(other.links_, {})), one_(std::exchange(other.one_, -1)) {}

Uprobes& Uprobes::operator=(Uprobes&& other) noexcept {
  std::swap(links_, other.links_);
  std::swap(one_, other.one_);
  return *this;
}

UprobeDetacher::~UprobeDetacher() {
  finish();
}

void UprobeDetacher::detach(Uprobes probes) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(probes));
  if (begun_) start_thread();
}

void UprobeDetacher::begin() {
  const std::lock_guard lock(mutex_);
  begun_ = true;
  if (!waiting_.empty()) start_thread();
}

void UprobeDetacher::start_thread() {
  if (threads_ >= kMostThreads) return;
  try {
    std::thread([this] { work(); }).detach();
    ++threads_;
  } catch (const std::system_error&) {
    // Those there are do it; finish() does what is left.
  }
}

void UprobeDetacher::work() {
  std::unique_lock lock(mutex_);
  while (!waiting_.empty()) {
    {
      const Uprobes probes = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
    }
    lock.lock();
  }
  --threads_;
  done_.notify_all();
}

void UprobeDetacher::finish() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return threads_ == 0; });
  waiting_.clear();
}

}  // namespace wirespan
