#include "agent/commands/session.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string_view>
#include <thread>

#include "exporters/file/json_file.h"
#include "exporters/otlp/otlp_exporter.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long after a traced command's end its last events are waited for: more than two rounds of the ring's reader.
constexpr milliseconds kAfterChild{250};

constexpr milliseconds kRound{50};
constexpr milliseconds kIdleRound{1000};  // where nobody asked for rounds

// timeout(1) and shells signal a process and its group: two signals at once are one wish.
constexpr milliseconds kSameWish{500};

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

std::uint64_t resident_kib() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

// Not getrusage's: that counts who forked us, before we were executed.
std::uint64_t peak_kib() {
  constexpr std::string_view kPeak = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kPeak)) return std::strtoull(line.c_str() + kPeak.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

Result<std::vector<std::unique_ptr<Exporter>>> open_exporters(const ExportOptions& options, Counters& counters,
                                                              const Say& say) {
  std::vector<std::unique_ptr<Exporter>> exporters;
  if (!options.json_file.empty()) {
    auto json = JsonFileExporter::open(options.json_file, counters);
    if (!json) return json.error();
    exporters.push_back(std::move(*json));
  }
  if (options.otlp) {
    auto otlp = OtlpExporter::create(*options.otlp, counters, say);
    if (!otlp) return otlp.error();
    exporters.push_back(std::move(*otlp));
  }
  if (options.console) {
    auto writer = FdWriter::borrow(STDOUT_FILENO);
    if (!writer) return writer.error();
    exporters.push_back(std::make_unique<ConsoleExporter>(std::move(*writer), *options.console, counters));
  }
  return exporters;
}

struct Supervisor::State {
  std::atomic<bool> stop{false};
  std::atomic<bool> quit{false};
  std::atomic<int> child_status{-1};
  int child = 0;
  std::thread thread;
};

Supervisor::Supervisor() : state_(std::make_unique<State>()) {
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A closed pipe is an error of a write, not the end of the agent.
  std::signal(SIGPIPE, SIG_IGN);
}

Supervisor::~Supervisor() {
  end();
}

void Supervisor::end() {
  state_->quit = true;
  if (!state_->thread.joinable()) return;
  pthread_kill(state_->thread.native_handle(), SIGCHLD);  // it waits for that as well
  state_->thread.join();
}

void Supervisor::watch(int child) {
  state_->child = child;
}

Supervisor::Running Supervisor::start(Hooks hooks, std::optional<milliseconds> limit) {
  state_->thread = std::thread([this, hooks = std::move(hooks), limit, child = state_->child] {
    const sigset_t set = our_signals();
    std::optional<steady_clock::time_point> deadline;
    std::optional<steady_clock::time_point> asked;
    if (limit) deadline = steady_clock::now() + *limit;
    auto next_report = steady_clock::now() + hooks.report_every;
    while (!state_->quit) {
      // Signals, a child's end among them, are seen at once.
      const auto now = steady_clock::now();
      auto until = now + (hooks.round ? kRound : kIdleRound);
      if (deadline) until = std::min(until, *deadline);
      if (hooks.report && hooks.report_every.count() > 0) until = std::min(until, next_report);
      const auto left = std::max<std::int64_t>(0, std::chrono::nanoseconds(until - now).count());
      const timespec round{left / 1'000'000'000, left % 1'000'000'000};
      switch (sigtimedwait(&set, nullptr, &round)) {
        case SIGINT:
        case SIGTERM:
          if (!asked) asked = steady_clock::now();
          if (hooks.hurry && steady_clock::now() - *asked > kSameWish) hooks.hurry();
          state_->stop = true;
          break;
        case SIGUSR1:
          if (hooks.report) hooks.report();
          break;
        case SIGHUP:
          if (hooks.reload) hooks.reload();
          break;
        default:
          break;
      }
      if (hooks.round) hooks.round();
      if (hooks.report && hooks.report_every.count() > 0 && steady_clock::now() >= next_report) {
        hooks.report();
        next_report += hooks.report_every;
      }
      int status = 0;
      if (child > 0 && state_->child_status < 0 && waitpid(child, &status, WNOHANG) == child) {
        state_->child_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        deadline = steady_clock::now() + kAfterChild;
      }
      if (deadline && steady_clock::now() >= *deadline) state_->stop = true;
    }
  });
  return Running(*this);
}

const std::atomic<bool>& Supervisor::stop() const {
  return state_->stop;
}
void Supervisor::request_stop() {
  state_->stop = true;
}
std::optional<int> Supervisor::child_status() const {
  const int status = state_->child_status;
  return status < 0 ? std::nullopt : std::optional<int>(status);
}

void measure_self(Counters& counters) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto milliseconds_of = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1000 + static_cast<std::uint64_t>(t.tv_usec) / 1000;
  };
  counters.get("self.cpu_ms").set(milliseconds_of(usage.ru_utime) + milliseconds_of(usage.ru_stime));
  counters.get("self.rss_kib").set(resident_kib());
  counters.get("self.max_rss_kib").set(peak_kib());
}

std::string report(Counters& counters) {
  measure_self(counters);
  std::string out;
  for (const auto& [name, value] : counters.snapshot()) {
    out.append(name).append(name.size() < 44 ? 44 - name.size() : 1, ' ').append(std::to_string(value)).append("\n");
  }
  return out;
}

}  // namespace wirespan
