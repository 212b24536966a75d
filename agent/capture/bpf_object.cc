#include "agent/capture/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>
#include <wirespan_bpf.skel.h>
#include <wirespan_bpf_nocast.skel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "agent/capture/probe_site.h"
#include "agent/capture/syscalls.h"
#include "agent/capture/trace_events.h"

namespace wirespan {
namespace {

// linux/bpf_verifier.h: errors and the sums, not every step.
constexpr std::uint32_t kLogSums = 4;

// By enum ws_trap: how names of programs begin.
constexpr std::array<std::string_view, WS_TRAP_COUNT> kTraps{"go_", "python_", "node_", "tokio_"};

constexpr std::size_t kMostContexts = 65'536;  // bpf/core/python.h

constexpr std::uint32_t kUser32CodeSegment = 0x23;  // __USER32_CS of x86-64

// libbpf's complaints of this thread since the last look: they say which map or relocation failed.
thread_local std::string complaints;

int keep_complaint(libbpf_print_level level, const char* format, va_list args) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  const int size = std::vsnprintf(line, sizeof(line), format, args);
  if (size > 0 && complaints.size() < 4096) {
    complaints.append(line, std::min(static_cast<std::size_t>(size), sizeof(line) - 1));
  }
  return 0;
}

std::string tail_of(std::string_view text, std::size_t most) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.remove_suffix(1);
  if (text.size() > most) {
    text.remove_prefix(text.size() - most);
    if (const auto line = text.find('\n'); line != std::string_view::npos) text.remove_prefix(line + 1);
  }
  return std::string(text);
}

// "processed 1234 insns (limit 1000000) ...": in every verifier since 5.2, while bpf_prog_info has it since 5.16.
std::uint64_t instructions_of(std::string_view log) {
  constexpr std::string_view kBefore = "processed ";
  const auto at = log.rfind(kBefore);
  return at == std::string_view::npos ? 0 : std::strtoull(log.data() + at + kBefore.size(), nullptr, 10);
}

// libbpf says "prog 'name': ..." of what it could not relocate or load.
std::string program_named_in(std::string_view text) {
  constexpr std::string_view kBefore = "prog '";
  const auto at = text.rfind(kBefore);
  if (at == std::string_view::npos) return {};
  const std::string_view name = text.substr(at + kBefore.size());
  return std::string(name.substr(0, name.find('\'')));
}

// Kernels before 6.2 have no bpf_rdonly_cast. libbpf then looks for it among the modules' types, which takes
// CAP_SYS_ADMIN, and gives up the whole object where it may not, weak or not (find_ksym_btf_id in libbpf 1.1 to 1.5):
// for these kernels there is the same object without the reference. Found out by the first load.
std::atomic<bool> without_cast{false};
constexpr std::string_view kCast = "bpf_rdonly_cast";

// "sock/sock_send_length" of a program in section "tp/sock/sock_send_length"; "" of others.
std::string trace_event_of(const bpf_program* program) {
  constexpr std::string_view kBefore = "tp/";
  const std::string_view section = bpf_program__section_name(program);
  return std::string(section.starts_with(kBefore) ? section.substr(kBefore.size()) : std::string_view());
}

wirespan_bpf* open_object() {
  if (!without_cast) return wirespan_bpf__open();
  auto* const skeleton = static_cast<wirespan_bpf*>(std::calloc(1, sizeof(wirespan_bpf)));
  if (skeleton == nullptr) return nullptr;
  if (wirespan_bpf__create_skeleton(skeleton) == 0) {
    // Programs, maps and global data are the same: only the code differs.
    skeleton->skeleton->data = wirespan_bpf_nocast__elf_bytes(&skeleton->skeleton->data_sz);
    if (bpf_object__open_skeleton(skeleton->skeleton, nullptr) == 0) return skeleton;
  }
  wirespan_bpf__destroy(skeleton);
  return nullptr;
}

void apply(wirespan_bpf& skeleton, const BpfSettings& settings, std::size_t cpus) {
  const auto classes = syscall_classes();
  std::copy(classes.begin(), classes.end(), const_cast<std::uint8_t*>(skeleton.rodata->ws_ops));
  skeleton.rodata->ws_trace_all = settings.trace_all;
  skeleton.rodata->ws_watch_exec = settings.watch_exec;
  skeleton.rodata->ws_watch_listen = settings.watch_listen;
  skeleton.rodata->ws_capture_default = settings.capture_bytes;
  skeleton.rodata->ws_wake_bytes = settings.ring_bytes / 8;
#ifdef __x86_64__
  skeleton.rodata->ws_compat_cs = kUser32CodeSegment;
#endif
  bpf_map__set_max_entries(skeleton.maps.ws_ring, settings.ring_bytes);
  bpf_map__set_max_entries(skeleton.maps.ws_conns, settings.max_connections);
  bpf_map__set_max_entries(skeleton.maps.ws_targets, settings.max_processes);
  bpf_map__set_max_entries(skeleton.maps.ws_threads, settings.max_threads);
  bpf_map__set_max_entries(skeleton.maps.ws_scratches, static_cast<std::uint32_t>(cpus * WS_SCRATCHES));
  bpf_map__set_max_entries(skeleton.maps.ws_openings, static_cast<std::uint32_t>(cpus * WS_OPENINGS));
}

// At the first uprobe libbpf loads a program to find out whether the kernel has links for them (FEAT_PERF_LINK) and
// remembers it. Let it happen now: later our own filter refuses to load programs (agent/rights). The map is no perf
// event, so that nothing is attached.
void settle_uprobe_links(wirespan_bpf& skeleton) {
  LIBBPF_OPTS(bpf_perf_event_opts, options);
  bpf_link__destroy(
      bpf_program__attach_perf_event_opts(skeleton.progs.control, bpf_map__fd(skeleton.maps.ws_targets), &options));
  complaints.clear();
}

}  // namespace

BpfObject::BpfObject(wirespan_bpf* skeleton) : skeleton_(skeleton) {}

BpfObject::~BpfObject() {
  detach_all();
  wirespan_bpf__destroy(skeleton_);
}

Result<std::unique_ptr<BpfObject>> BpfObject::load(const BpfSettings& settings, std::span<const char* const> programs,
                                                   std::string* refused) {
  libbpf_set_print(keep_complaint);
  complaints.clear();
  wirespan_bpf* skeleton = open_object();
  if (skeleton == nullptr) return Error{"open the BPF object", errno, tail_of(complaints, 500)};
  std::unique_ptr<BpfObject> object(new BpfObject(skeleton));
  apply(*skeleton, settings, static_cast<std::size_t>(std::max(1, libbpf_num_possible_cpus())));

  // The verifier writes its log here when it refuses a program, or when it is asked for its sums.
  std::vector<char> log(256U << 10U);
  std::map<const bpf_program*, std::vector<char>> sums;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    const std::string_view name = bpf_program__name(program);
    const bool wanted =
        name == "control" || name == "maps" ||
        std::any_of(programs.begin(), programs.end(), [&](const char* p) { return p != nullptr && name == p; });
    bpf_program__set_autoload(program, wanted);
    if (!wanted) continue;
    if (std::string_view(bpf_program__section_name(program)) == "uprobe" && settings.one_link &&
        kernel_has_uprobe_multi()) {
      object->one_link_ = true;
      prepare_for_one_link(program);
    }
    // Now: some are attached later, when there is no more right to look (agent/rights).
    if (const std::string event = trace_event_of(program); !event.empty()) {
      const Status may = may_open_trace_events();
      auto number = trace_event_number(event);
      if (!may || !number) {
        if (refused != nullptr) *refused = name;
        return may ? number.error() : may.error();
      }
      object->events_.emplace(name, *number);
    }
    std::vector<char>& into = settings.verifier_counts ? sums[program] : log;
    into.resize(log.size());
    bpf_program__set_log_buf(program, into.data(), into.size());
    // Without steps: a refusal's cause comes last, and kernels before 6.4 keep the beginning of what is too long.
    bpf_program__set_log_level(program, kLogSums);
  }
  if (const int failed = wirespan_bpf__load(skeleton); failed != 0) {
    if (complaints.find(kCast) != std::string::npos && !without_cast.exchange(true)) {
      object.reset();
      return load(settings, programs, refused);
    }
    if (refused != nullptr) *refused = program_named_in(complaints);
    std::string_view written(log.data());
    for (const auto& [of, text] : sums) {
      if (bpf_program__fd(of) < 0 && text.front() != '\0') written = text.data();
    }
    return Error{"load the BPF programs", -failed, tail_of(written.empty() ? complaints : written, 800)};
  }
  for (const auto& [of, text] : sums) object->instructions_[bpf_program__name(of)] = instructions_of(text.data());
  object->maps_ = KernelMaps(*skeleton->obj, bpf_program__fd(skeleton->progs.maps), skeleton->bss->ws_map_entry);
  object->control_fd_ = bpf_program__fd(skeleton->progs.control);
  settle_uprobe_links(*skeleton);
  malloc_trim(0);  // libbpf parsed the whole kernel's types; 20 MB of it went back to the heap just now
  return object;
}

Status BpfObject::attach(const char* name) {
  bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name);
  if (program == nullptr) return Error{std::string("no BPF program ") + name, ENOENT, {}};
  complaints.clear();
  bpf_link* link = nullptr;
  if (const auto event = events_.find(name); event != events_.end()) {
    auto opened = open_trace_event(event->second);
    if (!opened) return opened.error();
    link = bpf_program__attach_perf_event(program, *opened);
    if (link == nullptr) {
      const int failed = errno;
      ::close(*opened);
      errno = failed;
    }
  } else {
    link = bpf_program__attach(program);
  }
  if (link == nullptr) return Error{std::string("attach ") + name, errno, tail_of(complaints, 300)};
  links_.emplace_back(name, link);
  return {};
}

void BpfObject::detach(const char* name) {
  std::erase_if(links_, [&](const auto& link) { return link.first == name && (bpf_link__destroy(link.second), true); });
}

void BpfObject::set_boot_offset(std::uint64_t ns) {
  __atomic_store_n(&skeleton_->bss->ws_boot_offset, ns, __ATOMIC_RELAXED);
}

void BpfObject::detach_all() {
  begin_detaching();
  for (std::size_t i = 0; i < uprobes_.size(); ++i) detach_uprobes(static_cast<int>(i));
  uprobes_.clear();
  detacher_.finish();
  // Newest first: I/O stops before what keeps its tables.
  for (auto it = links_.rbegin(); it != links_.rend(); ++it) bpf_link__destroy(it->second);
  links_.clear();
}

int BpfObject::map_fd(const char* name) const {
  const bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, name);
  return map == nullptr ? -1 : bpf_map__fd(map);
}

void BpfObject::set_target(std::uint32_t pid, const ws_target& target) {
  std::uint32_t& hint = skeleton_->bss->ws_hints[pid & (WS_HINTS - 1)];
  // The hint first: a program that finds the target must not be kept away by the hint, and one too many costs little.
  __atomic_fetch_add(&hint, 1, __ATOMIC_RELAXED);
  if (maps_.update(WS_MAP_TARGETS, pid, target, BPF_NOEXIST) == 0) return;
  __atomic_fetch_sub(&hint, 1, __ATOMIC_RELAXED);
  maps_.update(WS_MAP_TARGETS, pid, target, BPF_EXIST);
}

void BpfObject::remove_target(std::uint32_t pid) {
  if (!maps_.remove(WS_MAP_TARGETS, pid)) return;
  __atomic_fetch_sub(&skeleton_->bss->ws_hints[pid & (WS_HINTS - 1)], 1, __ATOMIC_RELAXED);
}

bool BpfObject::is_target(std::uint32_t pid) const {
  ws_target target{};
  return maps_.lookup(WS_MAP_TARGETS, pid, target) && (target.flags & WS_TARGET_EXCLUDED) == 0;
}

void BpfObject::note_trap(const bpf_program* program, const std::string& path, std::span<const std::uint64_t> offsets) {
  if (!trap_cost_) {
    trap_cost_ = measure_trap_cost(
        [&](const std::string& own, std::uint64_t at) {
          return Uprobes::attach(program, one_link_, own, std::span(&at, 1), static_cast<std::uint32_t>(getpid()));
        },
        [this](Uprobes probe) { detacher_.detach(std::move(probe)); });
  }
  const auto trap = std::find_if(kTraps.begin(), kTraps.end(), [&](std::string_view name) {
    return std::string_view(bpf_program__name(program)).starts_with(name);
  });
  const int fd = trap == kTraps.end() ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  for (const std::uint64_t offset : offsets) {
    std::array<std::uint8_t, 2> code{};
    const bool read = pread(fd, code.data(), code.size(), static_cast<off_t>(offset)) == std::ssize(code);
    if (read && !kernel_emulates(code)) stepped_[static_cast<std::size_t>(trap - kTraps.begin())] = true;
  }
  ::close(fd);
}

std::uint64_t BpfObject::trap_ns() const {
  if (!trap_cost_) return 0;
  double ns = 0;
  for (std::size_t trap = 0; trap < stepped_.size(); ++trap) {
    std::uint64_t hits = 0;
    for (const auto& cpu : skeleton_->bss->ws_traps) hits += __atomic_load_n(&cpu.hits[trap], __ATOMIC_RELAXED);
    ns += static_cast<double>(hits) * (stepped_[trap] ? trap_cost_->stepped_ns : trap_cost_->emulated_ns);
  }
  return static_cast<std::uint64_t>(ns);
}

Result<int> BpfObject::attach_uprobes(std::uint32_t pid, const char* name, const std::string& path,
                                      std::span<const std::uint64_t> offsets) {
  const bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name);
  if (program == nullptr || bpf_program__fd(program) < 0)
    return Error{std::string("no BPF program ") + name, ENOENT, {}};
  note_trap(program, path, offsets);
  complaints.clear();
  auto probes = Uprobes::attach(program, one_link_, path, offsets, pid);
  if (!probes) return Error{probes.error().what, probes.error().code, tail_of(complaints, 300)};
  const auto free_slot = std::find(uprobes_.begin(), uprobes_.end(), std::nullopt);
  const auto slot = free_slot == uprobes_.end() ? uprobes_.emplace(free_slot) : free_slot;
  *slot = std::move(*probes);
  return static_cast<int>(slot - uprobes_.begin());
}

void BpfObject::detach_uprobes(int probes) {
  const auto slot = static_cast<std::size_t>(probes);
  if (probes < 0 || slot >= uprobes_.size() || !uprobes_[slot]) return;
  detacher_.detach(std::move(*uprobes_[slot]));
  uprobes_[slot].reset();
}

void BpfObject::tell_wakes(std::uint32_t pid, bool on) {
  if (on)
    maps_.update(WS_MAP_WAKING_PROCESSES, pid, std::uint8_t{1});
  else
    maps_.remove(WS_MAP_WAKING_PROCESSES, pid);
}

void BpfObject::begin_runtime_epoch() {
  __atomic_fetch_add(&skeleton_->bss->ws_runtime_epoch, 1, __ATOMIC_RELEASE);
}

void BpfObject::set_go_process(std::uint32_t pid, const ws_go_process& process) {
  maps_.update(WS_MAP_GO_PROCESSES, pid, process);
  begin_runtime_epoch();
}

void BpfObject::remove_go_process(std::uint32_t pid) {
  if (maps_.remove(WS_MAP_GO_PROCESSES, pid)) begin_runtime_epoch();
}

void BpfObject::set_python_process(std::uint32_t pid, const ws_python_process& process) {
  maps_.update(WS_MAP_PYTHON_PROCESSES, pid, process);
  begin_runtime_epoch();
}

void BpfObject::remove_python_process(std::uint32_t pid) {
  if (maps_.remove(WS_MAP_PYTHON_PROCESSES, pid)) begin_runtime_epoch();
}

std::uint32_t BpfObject::python_handed(std::uint32_t pid) const {
  ws_python_process process{};
  return maps_.lookup(WS_MAP_PYTHON_PROCESSES, pid, process) ? process.handed : 0;
}

void BpfObject::set_python_deques(std::uint32_t pid, const ws_python_deques& deques) {
  maps_.update(WS_MAP_PYTHON_DEQUES, pid, deques);
}

void BpfObject::remove_python_deques(std::uint32_t pid) {
  maps_.remove(WS_MAP_PYTHON_DEQUES, pid);
}

ws_python_deques BpfObject::python_deques(std::uint32_t pid) const {
  ws_python_deques deques{};
  return maps_.lookup(WS_MAP_PYTHON_DEQUES, pid, deques) ? deques : ws_python_deques{};
}

void BpfObject::set_java_process(std::uint32_t pid, const ws_java_process& process) {
  maps_.update(WS_MAP_JAVA_PROCESSES, pid, process);
  begin_runtime_epoch();
}

void BpfObject::remove_java_process(std::uint32_t pid) {
  if (maps_.remove(WS_MAP_JAVA_PROCESSES, pid)) begin_runtime_epoch();
}

bool BpfObject::set_java_way(const ws_java_class_of& of, const ws_java_way& way) {
  return maps_.update(WS_MAP_JAVA_WAYS, of, way) == 0;
}

void BpfObject::remove_java_way(const ws_java_class_of& of) {
  maps_.remove(WS_MAP_JAVA_WAYS, of);
}

bool BpfObject::set_java_kind(const ws_java_class_of& of, const ws_java_kind& kind) {
  return maps_.update(WS_MAP_JAVA_KINDS, of, kind) == 0;
}

void BpfObject::remove_java_kind(const ws_java_class_of& of) {
  maps_.remove(WS_MAP_JAVA_KINDS, of);
}

void BpfObject::set_node_process(std::uint32_t pid, const ws_node_process& process) {
  maps_.update(WS_MAP_NODE_PROCESSES, pid, process);
  begin_runtime_epoch();
}

void BpfObject::remove_node_process(std::uint32_t pid) {
  if (maps_.remove(WS_MAP_NODE_PROCESSES, pid)) begin_runtime_epoch();
}

void BpfObject::set_tokio_process(std::uint32_t pid, const ws_tokio_process& process) {
  maps_.update(WS_MAP_TOKIO_PROCESSES, pid, process);
  begin_runtime_epoch();
}

void BpfObject::remove_tokio_process(std::uint32_t pid) {
  if (maps_.remove(WS_MAP_TOKIO_PROCESSES, pid)) begin_runtime_epoch();
}

void BpfObject::begin_tokio_guess(std::uint32_t pid) {
  const ws_tokio_guess none{};
  maps_.update(WS_MAP_TOKIO_GUESSES, pid, none);
}

bool BpfObject::read_tokio_guess(std::uint32_t pid, ws_tokio_guess& guess) const {
  return maps_.lookup(WS_MAP_TOKIO_GUESSES, pid, guess);
}

void BpfObject::end_tokio_guess(std::uint32_t pid) {
  maps_.remove(WS_MAP_TOKIO_GUESSES, pid);
}

void BpfObject::forget_python_contexts() {
  std::vector<ws_python_context> keys;
  ws_python_context key{};
  for (bool more = maps_.next<ws_python_context>(WS_MAP_PYTHON_CONTEXTS, nullptr, key);
       more && keys.size() < kMostContexts;) {
    keys.push_back(key);
    more = maps_.next(WS_MAP_PYTHON_CONTEXTS, &keys.back(), key);
  }
  for (const ws_python_context& one : keys) maps_.remove(WS_MAP_PYTHON_CONTEXTS, one);
}

bool BpfObject::control(ws_control_op op, std::uint64_t sock, std::uint64_t conn, std::uint64_t value) {
  const ws_control argument{op, sock, conn, value};
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &argument, .ctx_size_in = sizeof(argument));
  return bpf_prog_test_run_opts(control_fd_, &options) == 0 && options.retval == 1;
}

std::optional<std::vector<std::uint64_t>> BpfObject::read_iterator(std::string_view program) const {
  const auto link = std::ranges::find(links_, program, &std::pair<std::string, bpf_link*>::first);
  if (link == links_.end()) return std::nullopt;
  const int fd = bpf_iter_create(bpf_link__fd(link->second));
  if (fd < 0) return std::nullopt;
  std::vector<std::uint64_t> ids;
  std::vector<std::uint64_t> buffer(1024);
  ssize_t n = 0;
  // An iterator writes whole numbers, and a read may still end inside one.
  std::size_t carried = 0;
  auto* bytes = reinterpret_cast<char*>(buffer.data());  // NOLINT(*-reinterpret-cast)
  const std::size_t room = buffer.size() * sizeof(std::uint64_t);
  while ((n = ::read(fd, bytes + carried, room - carried)) > 0) {
    const std::size_t have = carried + static_cast<std::size_t>(n);
    const std::size_t whole = have / sizeof(std::uint64_t);
    ids.insert(ids.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(whole));
    carried = have % sizeof(std::uint64_t);
    std::memmove(bytes, bytes + whole * sizeof(std::uint64_t), carried);
  }
  ::close(fd);
  if (n < 0) return std::nullopt;
  return ids;
}

void BpfObject::read_stats(std::span<std::uint64_t, WS_STAT_COUNT> out) const {
  for (std::size_t stat = 0; stat < out.size(); ++stat) {
    out[stat] = __atomic_load_n(&skeleton_->bss->ws_stats[stat], __ATOMIC_RELAXED);
  }
}

BpfObject::GateMemory BpfObject::gate() const {
  auto& bss = *skeleton_->bss;
  return {&bss.ws_gate_shut, &bss.ws_gate_no_wakeups, &skeleton_->data->ws_gate_capture, bss.ws_conn_slots};
}

std::uint32_t* BpfObject::reader_dozes() const {
  return &skeleton_->bss->ws_reader_dozes;
}

std::vector<BpfObject::ProgramCost> BpfObject::costs() const {
  std::vector<ProgramCost> out;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    const int fd = bpf_program__fd(program);
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) != 0) continue;
    out.push_back({bpf_program__name(program), info.run_cnt, info.run_time_ns, info.recursion_misses});
  }
  return out;
}

std::uint64_t BpfObject::verified_instructions(std::string_view program) const {
  const auto found = instructions_.find(program);
  return found == instructions_.end() ? 0 : found->second;
}

std::uint64_t BpfObject::map_bytes() const {
  std::uint64_t sum = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    const bool mapped = bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF || (bpf_map__map_flags(map) & BPF_F_MMAPABLE) != 0;
    if (mapped) continue;
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(bpf_map__fd(map)));
    std::string key;
    for (std::uint64_t value = 0; info >> key;) {
      if (key == "memlock:" && info >> value) sum += value;
    }
  }
  return sum;
}

}  // namespace wirespan
