// Threads that are kept when they have ended, for the next that a program begins: what begins one is that somebody
// wakes it. It waits for a word on its own stack meanwhile, so it was woken for itself and not for the next element of
// a queue (Ruby's Thread.new). Whoever wakes it works for a request, so does it, until it is woken so again.
//
// A pool's worker that waits alone looks the same. But it takes from a queue as well, whatever comes next, and gives
// itself away by calls that have no response yet when its request is answered, and by calls after that: more than one
// request in a hundred, and nothing is said of the process.
#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/served_alone.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostThreads = 16'384;
constexpr std::size_t kMostRequests = 16'384;
constexpr std::size_t kMostCalls = 256;  // of a request
constexpr std::size_t kMostWaiting = 256;
constexpr double kConfidence = 0.99;

class Resumed : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "resumed"; }
  [[nodiscard]] int rank() const override { return 52; }
  void restart() override {
    threads_.clear();
    requests_.clear();
    for (auto& [pid, process] : processes_) process.waiting.clear();
  }

  void event(const Event& event, World& world) override {
    if (const auto* wake = std::get_if<event::Wake>(&event)) {
      // Who serves a request waits for what others do for it.
      if (wake->alone && world.open.serving_by_thread(wake->wakee.tid) == 0)
        begins(wake->wakee.pid, wake->waker.thread.tid, wake->wakee.tid, true, world);
    } else if (const auto* forked = std::get_if<event::Forked>(&event)) {
      if (forked->child.pid == forked->parent.pid)
        begins(forked->parent.pid, forked->parent.tid, forked->child.tid, false, world);
    } else if (const auto* exited = std::get_if<event::ThreadExited>(&event)) {
      threads_.erase(exited->thread.tid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      threads_.erase(missed->thread.tid);
    } else if (const auto* gone = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(gone->pid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const auto thread = threads_.find(node->exchange->request->first_byte.actor.thread.tid);
    if (thread == threads_.end()) return;
    const NodePtr request = thread->second;
    if (node->role == SpanRole::kServer || request->answering) threads_.erase(thread);
    if (node->role == SpanRole::kServer) return;
    if (request->answering) return process(request->pid).record.add(false);
    if (requests_.size() >= kMostRequests && !requests_.contains(request->number)) requests_.clear();
    if (auto& calls = requests_[request->number]; calls.size() < kMostCalls) calls.push_back(node);
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (node->role == SpanRole::kServer && touched.kind == MessageKind::kResponse && touched.first)
      answered(node, world);
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    if (node->role == SpanRole::kServer) requests_.erase(node->number);
  }

 private:
  using Pairs = std::vector<std::pair<NodePtr, NodePtr>>;  // call and request
  struct Process {
    bool keeps = false;  // threads that ended
    TrackRecord record;
    Pairs waiting;
  };
  Process& process(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  void begins(std::uint32_t pid, std::uint32_t by, std::uint32_t tid, bool again, World& world) {
    const auto parent = threads_.find(by);
    NodePtr request = parent != threads_.end() ? parent->second : served_alone(by, world);
    if (request && again) process(pid).keeps = true;
    const auto known = processes_.find(pid);
    if (!request || request->answering || known == processes_.end() || !known->second.keeps) {
      threads_.erase(tid);
      return;
    }
    if (threads_.size() >= kMostThreads && !threads_.contains(tid)) restart();
    threads_[tid] = std::move(request);
  }

  void answered(const NodePtr& request, World& world) {
    const auto made = requests_.extract(request->number);
    if (made.empty()) return;
    Process& process = this->process(request->pid);
    const std::vector<NodePtr>& calls = made.mapped();
    const bool done = std::ranges::all_of(calls, [](const NodePtr& call) { return call->finished || call->answering; });
    process.record.add(done);
    if (!done) return;
    for (const NodePtr& call : calls) process.waiting.emplace_back(call, request);
    if (process.record.trusted()) {
      for (const auto& [call, of] : std::exchange(process.waiting, {})) link(call, of, world);
    } else if (process.waiting.size() > kMostWaiting) {
      process.waiting.clear();
    }
  }
  static void link(const NodePtr& call, const NodePtr& request, World& world) {
    if (!call->decided && !call->blind && call->pid == request->pid)
      world.found(call, Claim{request, std::nullopt, "resumed", kConfidence});
  }

  std::unordered_map<std::uint32_t, NodePtr> threads_;                // by tid: for which request they were begun
  std::unordered_map<std::uint64_t, std::vector<NodePtr>> requests_;  // by number: calls made for them by such
  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_resumed() {
  return std::make_unique<Resumed>();
}

}  // namespace wirespan
