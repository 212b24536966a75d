// wirespan-events: prints what capture sees of a process, one event a line. For people who work on capture.
//   wirespan-events PID... [--exe GLOB] [--for SECONDS]
//   wirespan-events --recording FILE
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/capture/kernel_source.h"
#include "agent/capture/recording.h"

namespace wirespan {
namespace {

std::atomic<bool> stop{false};

std::string text(Bytes bytes) {
  std::string out;
  for (const std::uint8_t b : bytes.subspan(0, std::min<std::size_t>(bytes.size(), 60))) {
    out += b >= 0x20 && b < 0x7f ? static_cast<char>(b) : '.';
  }
  return out;
}

std::string text(const Address& a) {
  if (a.family == Address::Family::kUnix) return "unix:" + a.path;
  return a.ip_text() + ":" + std::to_string(a.port);
}

unsigned long long id(const ConnectionPtr& conn) {
  return static_cast<unsigned long long>(conn->id);
}

class Printer : public Sink<Event> {
 public:
  void accept(const Event& event) override {
    std::visit([this](const auto& e) { print(e); }, event);
  }

 private:
  void print(const event::Opened& e) {
    std::printf("opened %llx pid %u tid %u %s -> %s side %d adopted %d base %d sent %llx received %llx\n", id(e.conn),
                e.conn->pid, e.actor.thread.tid, text(e.conn->local).c_str(), text(e.conn->remote).c_str(),
                static_cast<int>(e.conn->side), e.conn->adopted, e.conn->has_base,
                static_cast<unsigned long long>(e.conn->sent_base),
                static_cast<unsigned long long>(e.conn->received_base));
  }
  void print(const event::Data& e) {
    std::printf("%llu %s %llx pid %u/%u task %llu<%llu loop %u at %llu length %u captured %zu '%s' tail '%s'\n",
                static_cast<unsigned long long>(e.time.ns), e.direction == Direction::kSent ? "sent" : "received",
                id(e.conn), e.actor.thread.pid, e.actor.thread.tid, static_cast<unsigned long long>(e.actor.task),
                static_cast<unsigned long long>(e.actor.parent_task), e.actor.loop,
                static_cast<unsigned long long>(e.position), e.length, e.captured.size(), text(e.captured).c_str(),
                text(e.tail).c_str());
  }
  void print(const event::Closed& e) { std::printf("closed %llx how %d\n", id(e.conn), static_cast<int>(e.how)); }
  void print(const event::Wake& e) {
    std::printf("%llu wake pid %u/%u -> %u alone %d\n", static_cast<unsigned long long>(e.time.ns), e.waker.thread.pid,
                e.waker.thread.tid, e.wakee.tid, static_cast<int>(e.alone));
  }
  void print(const event::Handover& e) {
    std::printf(
        "%llu handover %d pid %u object %llx task %llu parent %llu place %llu other %llu queued %u of %u site %llx "
        "select %d element %llx\n",
        static_cast<unsigned long long>(e.time.ns), static_cast<int>(e.role), e.actor.thread.pid,
        static_cast<unsigned long long>(e.object), static_cast<unsigned long long>(e.actor.task),
        static_cast<unsigned long long>(e.actor.parent_task), static_cast<unsigned long long>(e.place),
        static_cast<unsigned long long>(e.other), e.queued, e.capacity, static_cast<unsigned long long>(e.site),
        static_cast<int>(e.select), static_cast<unsigned long long>(e.element));
  }
  void print(const event::Births& e) {
    std::printf("births pid %u task %llu processors %u\n", e.pid, static_cast<unsigned long long>(e.task), e.count);
  }
  void print(const event::Async& e) {
    std::printf("async pid %u %d conn %llx execution %llu trigger %llu given %llu\n", e.pid, static_cast<int>(e.where),
                static_cast<unsigned long long>(e.connection), static_cast<unsigned long long>(e.execution),
                static_cast<unsigned long long>(e.trigger), static_cast<unsigned long long>(e.given));
  }
  void print(const event::Leads& e) {
    std::printf("leads pid %u conn %llx -> conn %llx tid %u task %llx by %u\n", e.pid,
                static_cast<unsigned long long>(e.call), static_cast<unsigned long long>(e.request), e.tid,
                static_cast<unsigned long long>(e.task), e.worker);
  }
  void print(const event::Holds& e) {
    std::printf("%llu holds pid %u/%u conn %llx collections %u works on %llx:",
                static_cast<unsigned long long>(e.time.ns), e.thread.pid, e.thread.tid,
                static_cast<unsigned long long>(e.call), e.collections, static_cast<unsigned long long>(e.works_on));
    for (std::uint16_t i = 0; i < e.count; ++i) {
      std::printf(" %llx", static_cast<unsigned long long>(e.futures[i]));
    }
    for (std::uint16_t i = 0; i < e.waiters; ++i) std::printf(" waits %u", e.waiting[i]);
    std::printf("\n");
  }
  void print(const event::Lineage& e) {
    std::printf("lineage pid %u task %llu:", e.pid, static_cast<unsigned long long>(e.task & ~kContextTask));
    for (std::uint32_t i = 0; i < e.count; ++i) {
      std::printf(" %llu", static_cast<unsigned long long>(e.ancestors[i] & ~kContextTask));
    }
    std::printf("\n");
  }
  void print(const event::Forked& e) {
    std::printf("forked %u/%u -> %u/%u\n", e.parent.pid, e.parent.tid, e.child.pid, e.child.tid);
  }
  void print(const event::Process& e) {
    std::printf("process %u parent %u exe %s comm %s cwd %s cgroup %s runtime '%s' args %zu ports %zu\n", e.pid,
                e.parent_pid, e.exe.c_str(), e.comm.c_str(), e.cwd.c_str(), e.cgroup.c_str(), e.runtime.c_str(),
                e.cmdline.size(), e.listening.size());
  }
  void print(const event::ProcessExited& e) { std::printf("process %u exited\n", e.pid); }
  void print(const event::ThreadExited& e) { std::printf("thread %u/%u exited\n", e.thread.pid, e.thread.tid); }
  void print(const event::Missed& e) { std::printf("missed before %u/%u\n", e.thread.pid, e.thread.tid); }
  void print(const event::Lost& e) {
    std::printf("lost %llu %s\n", static_cast<unsigned long long>(e.count), e.reason.c_str());
  }
  void print(const event::Tick&) {}
  void print(const event::Window& e) { std::printf("window %s share %.4f\n", e.open ? "open" : "shut", e.share); }
  void print(const event::Unanswered& e) {
    std::printf("unanswered %llx pid %u\n", static_cast<unsigned long long>(e.connection), e.pid);
  }
  void print(const event::Counted& e) {
    std::printf("counted pid %u side %d requests %llu answers %llu\n", e.pid, static_cast<int>(e.side),
                static_cast<unsigned long long>(e.requests), static_cast<unsigned long long>(e.answers));
  }
};

int print_recording(const char* path) {
  Counters counters;
  auto source = RecordingSource::open(path, counters);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().text().c_str());
    return 1;
  }
  Printer printer;
  const Status ran = (*source)->run(printer, stop);
  if (!ran) std::fprintf(stderr, "%s\n", ran.error().text().c_str());
  return ran ? 0 : 1;
}

int run(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--recording") == 0) return print_recording(argv[2]);
  KernelOptions options;
  unsigned seconds = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--for") == 0 && i + 1 < argc) {
      seconds = static_cast<unsigned>(std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--exe") == 0 && i + 1 < argc) {
      options.selectors.exe_globs.emplace_back(argv[++i]);
    } else {
      options.selectors.pids.push_back(static_cast<std::uint32_t>(std::atoi(argv[i])));
      if (options.selectors.pids.back() == 0) {
        std::fprintf(stderr, "%s is not the number of a process\n", argv[i]);
        return 2;
      }
    }
  }
  Counters counters;
  auto source = KernelSource::open(options, counters);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().text().c_str());
    return 1;
  }
  for (const std::string& line : (*source)->plan()) std::fprintf(stderr, "%s\n", line.c_str());
  std::fprintf(stderr, "ready: %zu processes, %llu KiB of maps\n", (*source)->targets(),
               static_cast<unsigned long long>((*source)->map_bytes() >> 10U));
  for (const int signal : {SIGINT, SIGTERM, SIGALRM}) std::signal(signal, [](int) { stop = true; });
  if (seconds != 0) alarm(seconds);
  Printer printer;
  const Status ran = (*source)->run(printer, stop);
  if (!ran) std::fprintf(stderr, "%s\n", ran.error().text().c_str());
  for (const std::string& line : (*source)->runtimes()) std::fprintf(stderr, "%s\n", line.c_str());
  for (const auto& cost : (*source)->costs()) {
    std::fprintf(stderr, "%-18s %10llu runs %8.1f ns missed %llu\n", cost.name.c_str(),
                 static_cast<unsigned long long>(cost.runs),
                 cost.runs == 0 ? 0.0 : static_cast<double>(cost.ns) / static_cast<double>(cost.runs),
                 static_cast<unsigned long long>(cost.missed));
  }
  for (const auto& [name, value] : counters.snapshot()) {
    std::fprintf(stderr, "%-36s %llu\n", name.c_str(), static_cast<unsigned long long>(value));
  }
  return ran ? 0 : 1;
}

}  // namespace
}  // namespace wirespan

int main(int argc, char** argv) {
  return wirespan::run(argc, argv);
}
