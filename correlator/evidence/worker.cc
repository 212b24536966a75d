// A worker of a pool: a thread without an event loop makes calls for one piece of work after the other. Who answers a
// request has made the calls it made since it answered the one before for that request, also when another thread read
// the request and a queue lay between.
//
// Not so where threads run pieces of several requests in turn: stages of a pool, virtual threads, .NET's tasks. Each of
// these gives it away, is counted, and the process is not believed: a call older than the request its thread answers
// next; a call that has no response yet when its thread answers; a response read by another thread that works as well
// (one that does nothing else reads for a client library); a thread that answers while others it has read are open.
// (Wake-ups in the middle say nothing: locks of a runtime, CPython's for one, cause them all the time.)
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
constexpr std::size_t kMostWaiting = 4096;
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
      work = Work{.since = node->opened, .works = work.works};  // what it did before was for something else
    } else if (work.works = true; work.calls.size() < kMostCalls) {
      work.calls.push_back({node});
    } else {
      work.too_much = true;
    }
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first) return;
    if (node->role == SpanRole::kServer)
      answered(node, touched.touch, world);
    else
      responded(*node, touched.touch);
  }

 private:
  enum class Response : std::uint8_t { kNone, kRead, kReadByAnother };
  struct Call {
    NodePtr node;
    Response response = Response::kNone;
  };
  struct Work {
    BootTime since{};
    std::vector<Call> calls = {};
    bool too_much = false;
    bool unsure = false;  // some of what the thread did was not seen; until its next answer
    bool works = false;   // it has made calls
  };
  struct Record {
    TrackRecord fits;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;
  };

  void responded(const Node& node, const Touch& touch) {
    const std::uint32_t caller = node.exchange->request->first_byte.actor.thread.tid;
    const auto work = work_.find(caller);
    if (work == work_.end()) return;
    auto& calls = work->second.calls;
    const auto call = std::find_if(calls.rbegin(), calls.rend(), [&](const Call& c) { return c.node.get() == &node; });
    if (call == calls.rend()) return;
    const std::uint32_t reader = touch.actor.thread.tid;
    const auto other = reader == caller ? work_.end() : work_.find(reader);
    const bool works = other != work_.end() && other->second.works;
    call->response = works ? Response::kReadByAnother : Response::kRead;
  }

  void answered(const NodePtr& node, const Touch& touch, World& world) {
    const Actor& actor = touch.actor;
    const auto it = work_.find(actor.thread.tid);
    if (it == work_.end() || actor.loop >= 2 || touch.time < it->second.since) return;
    const Work work = std::exchange(it->second, Work{.since = touch.time, .works = it->second.works});
    if (work.calls.empty() || work.unsure) return;
    // It may have answered another in between, unseen.
    if (std::any_of(work.calls.begin(), work.calls.end(), [](const Call& call) { return call.node->blind; })) return;
    if (records_.size() >= kMostThreads) records_.clear();
    Record& record = records_[node->pid];
    const bool alone = node->home_tid != actor.thread.tid || world.open.serving_by_thread(actor.thread.tid) <= 1;
    const bool fits = alone && !work.too_much && std::ranges::all_of(work.calls, [&](const Call& call) {
                        return call.response == Response::kRead && call.node->pid == node->pid &&
                               call.node->opened >= node->opened &&
                               (!call.node->link || call.node->link->parent == node);
                      });
    record.fits.add(fits, fits ? newer(work.calls, node, world) : 1);
    if (!fits || !record.fits.trusted(0, kRare)) return record.waiting.clear();
    // The first ones wait until the process has shown that it works like this.
    if (record.waiting.size() >= kMostWaiting) record.waiting.clear();
    for (const Call& call : work.calls) record.waiting.emplace_back(call.node, node);
    if (!record.fits.trusted(kProven, kRare)) return;
    for (auto& [call, request] : record.waiting) {
      if (!call->decided) world.found(call, Claim{request, std::nullopt, "worker", 0.98});
    }
    record.waiting.clear();
  }

  // Of the open requests of the process, the share that is newer than some of the calls: had the thread answered one of
  // those, it would not have fitted. Where a service was only just started, or all requests wait in a queue, all fit.
  static float newer(const std::vector<Call>& calls, const NodePtr& request, const World& world) {
    const auto& serving = world.open.serving(request->pid);
    const auto first = std::ranges::min(calls, {}, [](const Call& call) { return call.node->opened; }).node->opened;
    const auto from = std::ranges::upper_bound(serving, first, {}, [](const NodePtr& open) { return open->opened; });
    return serving.empty() ? 0 : static_cast<float>(serving.end() - from) / static_cast<float>(serving.size());
  }

  std::unordered_map<std::uint32_t, Work> work_;
  std::unordered_map<std::uint32_t, Record> records_;
};

}  // namespace

std::unique_ptr<Evidence> make_worker() {
  return std::make_unique<Worker>();
}

}  // namespace wirespan
