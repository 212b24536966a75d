#include "agent/capture/plan.h"

namespace wirespan {
namespace {

constexpr const char* kTyped = "tp_btf: kernel 5.5 with BTF";
constexpr const char* kCasts = "tp_btf and bpf_rdonly_cast: kernel 6.2 with BTF";
constexpr const char* kRaw = "raw tracepoint: kernel 5.8";

constexpr const char* kSocketLength = "sock_send_length and sock_recv_length, sendfile through them: kernel 6.5";
constexpr Candidate kSend[] = {{"send__raw_tp", kSocketLength}};
constexpr Candidate kReceive[] = {{"receive__raw_tp", kSocketLength}};
constexpr Candidate kConnect[] = {{"connect__raw_tp", kRaw}};
constexpr Candidate kWaitBegins[] = {{"wait_begins__tp_btf", kTyped}};
constexpr Candidate kWaitEnds[] = {{"wait_ends__tp_btf", kTyped}};
constexpr Candidate kSocketIo[] = {{"io__tp_btf", kCasts}, {"io__tp_btf_probe", kTyped}, {"io__raw_tp", kRaw}};
constexpr Candidate kEntry[] = {{"entry__tp_btf", kTyped}, {"entry__raw_tp", kRaw}};
constexpr Candidate kState[] = {{"state__tp_btf", kTyped}, {"state__raw_tp", kRaw}};
constexpr Candidate kDestroy[] = {{"destroy__tp_btf", kTyped}, {"destroy__raw_tp", kRaw}};
constexpr Candidate kFork[] = {{"fork__tp_btf", kTyped}, {"fork__raw_tp", kRaw}};
constexpr Candidate kExec[] = {{"exec__tp_btf", kTyped}, {"exec__raw_tp", kRaw}};
constexpr Candidate kExit[] = {{"exit__tp_btf", kTyped}, {"exit__raw_tp", kRaw}};
constexpr const char* kUprobe = "uprobes: CONFIG_UPROBE_EVENTS";
constexpr Candidate kGoCalls[] = {{"go_calls", kUprobe}};
constexpr Candidate kGoWrites[] = {{"go_writes", kUprobe}};
constexpr Candidate kGoSends[] = {{"go_sends", kUprobe}};
constexpr Candidate kGoReceives[] = {{"go_receives", kUprobe}};
constexpr Candidate kPythonBorn[] = {{"python_born", kUprobe}};
constexpr Candidate kTokioLearns[] = {{"tokio_learns", kUprobe}};
constexpr Candidate kTokioSpawns[] = {{"tokio_spawns", kUprobe}};
constexpr Candidate kTokioWakes[] = {{"tokio_wakes", kUprobe}};
constexpr Candidate kFiles[] = {{"files", "task_file iterator: kernel 5.8 with BTF"}};
constexpr Candidate kAsked[] = {{"asked", "task_file iterator: kernel 5.8 with BTF"}};
constexpr Candidate kWake[] = {{"wake__tp_btf", kTyped}, {"wake__raw_tp", kRaw}};

}  // namespace

std::string_view to_string(Plan plan) {
  return plan == Plan::kSockets ? "sockets" : "syscalls";
}

std::vector<Hook> hooks_of(Plan plan, bool wakeups, bool goroutines, bool contexts, bool tokio) {
  using Attached = Hook::Attached;
  // I/O comes last: from its first event on, everything else is already watched.
  std::vector<Hook> hooks{
      {"fork", "children of traced processes", true, kFork},
      {"exec", "new programs", true, kExec},
      {"exit", "ends of threads and processes", true, kExit},
      {"tcp_state", "closed and reset TCP connections", true, kState},
      {"tcp_destroy", "TCP connections whose end no state change told", false, kDestroy},
  };
  if (plan == Plan::kSyscalls) {
    hooks.push_back({"entry", "when a sending call began; closed Unix sockets", true, kEntry});
  } else {
    hooks.push_back({"connect", "who connects and who listens", true, kConnect});
    hooks.push_back({"wait_begins", "event loops: how long they mean to wait", true, kWaitBegins, Attached::kOnDemand});
    hooks.push_back({"wait_ends", "event loops: their turns", true, kWaitEnds, Attached::kOnDemand});
  }
  hooks.push_back({"files", "Unix sockets closed by exit, exec or dup2", false, kFiles});
  hooks.push_back({"asked", "requests read before the start", false, kAsked});
  if (wakeups) hooks.push_back({"wake", "threads that wake each other", false, kWake});
  if (goroutines) {
    hooks.push_back({"go_calls", "Go clients: the goroutine that asks", false, kGoCalls, Attached::kPerExecutable});
    hooks.push_back({"go_writes", "Go clients: the goroutine that writes", false, kGoWrites, Attached::kPerExecutable});
    hooks.push_back({"go_sends", "Go channels: the goroutine that sends", false, kGoSends, Attached::kPerExecutable});
    hooks.push_back(
        {"go_receives", "Go channels: the goroutine that receives", false, kGoReceives, Attached::kPerExecutable});
  }
  if (contexts) {
    hooks.push_back(
        {"python_born", "Python: the task a task was created in", false, kPythonBorn, Attached::kPerExecutable});
  }
  if (tokio) {
    hooks.push_back(
        {"tokio_learns", "tokio: where the running task is named", false, kTokioLearns, Attached::kPerExecutable});
    hooks.push_back(
        {"tokio_spawns", "tokio: the task that begins a task", false, kTokioSpawns, Attached::kPerExecutable});
    hooks.push_back({"tokio_wakes", "tokio: the task that wakes a task", false, kTokioWakes, Attached::kPerExecutable});
  }
  if (plan == Plan::kSyscalls) {
    hooks.push_back({"socket_io", "bytes received and sent", true, kSocketIo});
  } else {
    hooks.push_back({"send", "bytes sent", true, kSend});
    hooks.push_back({"receive", "bytes received", true, kReceive});
  }
  return hooks;
}

}  // namespace wirespan
