// A worker of a pool: a thread without an event loop makes calls for one piece of work after the other. Who answers a
// request has made the calls it made since it answered the one before for that request, also when another thread read
// the request and a queue lay between.
//
// Not so where a pool's threads run stages of several requests in turn. Then, sooner or later, a call turns out to be
// older than the request its thread answers next: counted, and the process is not believed. (Wake-ups in the middle say
// nothing: locks of a runtime, CPython's for one, cause them all the time.)
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr float kProven = 16;
constexpr float kRare = 200;
constexpr std::size_t kMostCalls = 256;  // of one piece of work; with more, it is none

class Worker : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "worker"; }
  [[nodiscard]] int rank() const override { return 36; }
  void restart() override {
    work_.clear();
    for (auto& [pid, record] : records_) record.waiting.clear();
  }

  void event(const Event& event, World& /*world*/) override {
    if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      records_.erase(exited->pid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      const auto it = work_.find(missed->thread.tid);
      if (it != work_.end()) it->second = Work{.since = missed->time, .unsure = true};
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const Actor& actor = node->exchange->request->first_byte.actor;
    if (actor.loop >= 2 || actor.task != 0) return;
    if (work_.size() >= kMostThreads) work_.clear();
    Work& work = work_[actor.thread.tid];
    if (node->opened < work.since) return;  // told late
    if (node->role == SpanRole::kServer) {
      work = Work{.since = node->opened};  // what it did before was for something else
    } else if (work.calls.size() < kMostCalls) {
      work.calls.push_back(node);
    } else {
      work.too_much = true;
    }
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (node->role != SpanRole::kServer || touched.kind != MessageKind::kResponse || !touched.first) return;
    const Actor& actor = touched.touch.actor;
    const auto it = work_.find(actor.thread.tid);
    if (it == work_.end() || actor.loop >= 2 || touched.touch.time < it->second.since) return;
    const Work work = std::exchange(it->second, Work{.since = touched.touch.time});
    if (work.calls.empty() || work.unsure) return;
    // It may have answered another in between, unseen.
    if (std::any_of(work.calls.begin(), work.calls.end(), [](const NodePtr& call) { return call->blind; })) return;
    if (records_.size() >= kMostThreads) records_.clear();
    Record& record = records_[node->pid];
    const bool fits = !work.too_much && std::all_of(work.calls.begin(), work.calls.end(), [&](const NodePtr& call) {
      return call->pid == node->pid && call->opened >= node->opened;
    });
    record.fits.add(fits);
    if (!fits || !record.fits.trusted(0, kRare)) return record.waiting.clear();
    // The first ones wait until the process has shown that it works like this.
    for (const NodePtr& call : work.calls) record.waiting.emplace_back(call, node);
    if (!record.fits.trusted(kProven, kRare)) return;
    for (auto& [call, request] : record.waiting) {
      if (!call->decided) world.found(call, Claim{request, std::nullopt, "worker", 0.98});
    }
    record.waiting.clear();
  }

 private:
  struct Work {
    BootTime since{};
    std::vector<NodePtr> calls = {};
    bool too_much = false;
    bool unsure = false;  // some of what the thread did was not seen; until its next answer
  };
  struct Record {
    TrackRecord fits;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;
  };

  std::unordered_map<std::uint32_t, Work> work_;
  std::unordered_map<std::uint32_t, Record> records_;
};

}  // namespace

std::unique_ptr<Evidence> make_worker() {
  return std::make_unique<Worker>();
}

}  // namespace wirespan
