#include "agent/capture/plan.h"

#include <utility>

namespace wirespan {
namespace {

constexpr const char* kTyped = "tp_btf: kernel 5.5 with BTF";
constexpr const char* kCasts = "tp_btf and bpf_rdonly_cast: kernel 6.2 with BTF";
constexpr const char* kRaw = "raw tracepoint: kernel 5.8";
constexpr const char* kPerf = "tracepoint by perf: tracefs, mounted and readable";
constexpr const char* kRegisters = "tracepoint by perf: tracefs, mounted and readable; bpf_task_pt_regs: kernel 5.15";

constexpr const char* kSocketLength = "sock_send_length and sock_recv_length, sendfile through them: kernel 6.5";
constexpr const char* kSocketPerf = "the same by perf: kernel 6.5, tracefs mounted and readable";
constexpr const char* kFunction = "fexit and fentry: kernel 5.5 with BTF, on arm64 6.4";
constexpr const char* kSendPage =
    "fexit: kernel 5.5 with BTF; not from 6.5 on, where sendfile goes the way of other calls";
constexpr const char* kReceive = "fexit: kernel 5.19 with BTF, on arm64 6.4";
constexpr const char* kOldReceive = "fexit: kernels 5.5 to 5.18 with BTF";
constexpr const char* kUprobe = "uprobes: CONFIG_UPROBE_EVENTS";
constexpr const char* kFileIterator = "task_file iterator: kernel 5.8 with BTF";

using Candidates = std::vector<Candidate>;

Candidates typed_or_raw(const char* typed, const char* raw) {
  return {{typed, kTyped}, {raw, kRaw}};
}

}  // namespace

std::string_view to_string(Plan plan) {
  switch (plan) {
    case Plan::kSockets:
      return "sockets";
    case Plan::kFunctions:
      return "functions";
    case Plan::kSyscalls:
      break;
  }
  return "syscalls";
}

std::string why_not(Plan plan) {
  return plan == Plan::kFunctions ? why_preempted(preemption_facts()) : "";
}

Following everything_followed() {
  return {.by_perf = programs_are_preempted(),
          .wakeups = true,
          .goroutines = true,
          .contexts = true,
          .async_ids = true,
          .errands = true,
          .continuations = true,
          .futures = true,
          .tokio = true};
}

std::vector<Hook> hooks_of(Plan plan, const Following& follow) {
  using Attached = Hook::Attached;
  const auto kept = [&](const char* perf, Candidates others, const char* needs = kPerf) {
    if (follow.by_perf) others.insert(others.begin(), {perf, needs});
    return others;
  };
  // I/O comes last: from its first event on, everything else is already watched.
  std::vector<Hook> hooks{
      {"fork", "children of traced processes", true, kept("fork__tp", typed_or_raw("fork__tp_btf", "fork__raw_tp"))},
      {"exec", "new programs", true, kept("exec__tp", typed_or_raw("exec__tp_btf", "exec__raw_tp"))},
      {"exit", "ends of threads and processes", true, kept("exit__tp", typed_or_raw("exit__tp_btf", "exit__raw_tp"))},
      // Not by perf: these are called from interrupts, in which perf skips them while any program of its own runs.
      {"tcp_state", "closed and reset TCP connections", true, typed_or_raw("state__tp_btf", "state__raw_tp")},
      {"tcp_destroy", "TCP connections whose end no state change told", false,
       typed_or_raw("destroy__tp_btf", "destroy__raw_tp")},
  };
  if (plan == Plan::kSyscalls) {
    hooks.push_back({"entry", "when a sending call began; closed Unix sockets", true,
                     kept("entry__tp", typed_or_raw("entry__tp_btf", "entry__raw_tp"), kRegisters)});
  } else {
    hooks.push_back(
        {"connect", "who connects and who listens", true, kept("connect__tp", {{"connect__raw_tp", kRaw}})});
    hooks.push_back({"wait_begins", "event loops: how long they mean to wait", true,
                     kept("wait_begins__tp", {{"wait_begins__tp_btf", kTyped}}, kRegisters), Attached::kOnDemand});
    hooks.push_back({"wait_ends", "event loops: their turns", true,
                     kept("wait_ends__tp", {{"wait_ends__tp_btf", kTyped}}), Attached::kOnDemand});
  }
  hooks.push_back({"files", "Unix sockets closed by exit, exec or dup2", false, {{"files", kFileIterator}}});
  hooks.push_back({"asked", "requests read before the start", false, {{"asked", kFileIterator}}});
  // Scheduler's own tracepoints are called with preemption off.
  if (follow.wakeups)
    hooks.push_back({"wake", "threads that wake each other", false, typed_or_raw("wake__tp_btf", "wake__raw_tp"),
                     Attached::kForWakes});
  const auto per_executable = [&](const char* name, const char* purpose) {
    hooks.push_back({name, purpose, false, {{name, kUprobe}}, Attached::kPerExecutable});
  };
  if (follow.goroutines) {
    per_executable("go_begins", "Go: the goroutine that begins others");
    per_executable("go_calls", "Go clients: the goroutine that asks");
    per_executable("go_writes", "Go clients: the goroutine that writes");
    per_executable("go_sends", "Go channels: the goroutine that sends");
    per_executable("go_receives", "Go channels: the goroutine that receives");
    per_executable("go_tries_to_send", "Go channels: the goroutine that sends, if it need not wait");
    per_executable("go_tries_to_receive", "Go channels: the goroutine that receives, if it need not wait");
    per_executable("go_selects", "Go channels: the goroutine that waits for several");
  }
  if (follow.contexts) per_executable("python_born", "Python: the task a task was created in");
  if (follow.errands) {
    per_executable("python_gives", "Python: who gives work to a pool");
    per_executable("python_takes", "Python: who of a pool takes work");
    per_executable("python_appends", "Python: who puts work into a queue");
    per_executable("python_pops", "Python: who takes work from a queue");
  }
  if (follow.async_ids) {
    per_executable("node_begins", "Node: the loop turns to what no socket tells of");
    per_executable("node_makes", "Node: the context in which a socket is made");
    per_executable("node_sets", "Node: the context in which a timer is set");
    per_executable("node_resolves", "Node: the context in which a promise is resolved");
  }
  if (follow.tokio) {
    per_executable("tokio_gets", "tokio: the task that gets a reply");
    per_executable("tokio_learns", "tokio: where the running task is named");
    per_executable("tokio_lets_go", "tokio: the task that may take the next piece of work");
    per_executable("tokio_replies", "tokio: the task that replies");
    per_executable("tokio_spawns", "tokio: the task that begins a task");
    per_executable("tokio_spawns_blocking", "tokio: the task that begins one which may block its thread");
    per_executable("tokio_wakes", "tokio: the task that wakes a task by value");
    per_executable("tokio_wakes_by_ref", "tokio: the task that wakes a task by reference");
  }
  switch (plan) {
    case Plan::kSockets:
      hooks.push_back({"send", "bytes sent", true, kept("send__tp", {{"send__raw_tp", kSocketLength}}, kSocketPerf)});
      hooks.push_back(
          {"receive", "bytes received", true, kept("receive__tp", {{"receive__raw_tp", kSocketLength}}, kSocketPerf)});
      break;
    case Plan::kFunctions:
      hooks.push_back({"tcp_send", "bytes sent by TCP", true, {{"tcp_send__fexit", kFunction}}});
      hooks.push_back({"unix_send", "bytes sent by Unix sockets", true, {{"unix_send__fexit", kFunction}}});
      hooks.push_back({"pages_out", "bytes sent by sendfile and splice", false, {{"pages_out__fexit", kSendPage}}});
      hooks.push_back({"pages_in", "bytes received by splice", false, {{"pages_in__fexit", kFunction}}});
      hooks.push_back({"tcp_receive",
                       "bytes received by TCP",
                       true,
                       {{"tcp_receive__fexit_nonblock", kOldReceive}, {"tcp_receive__fexit", kReceive}}});
      hooks.push_back({"unix_receive", "bytes received by Unix sockets", true, {{"unix_receive__fexit", kFunction}}});
      hooks.push_back({"late_receive",
                       "receives that began before the start",
                       false,
                       {{"late_receive__fentry", kFunction}},
                       Attached::kAtFirst});
      break;
    case Plan::kSyscalls:
      Candidates io{{"io__tp_btf", kCasts}, {"io__tp_btf_probe", kTyped}, {"io__raw_tp", kRaw}};
      hooks.push_back({"socket_io", "bytes received and sent", true, kept("io__tp", std::move(io), kRegisters)});
      break;
  }
  return hooks;
}

}  // namespace wirespan
