// Node's own asynchronous contexts: whom each call was made for (correlator/async_work), believed only as far as
// answers bear it out.
//
// What leads from a request to its answer is a chain: calls, the responses of which led to the next. A request that is
// answered where its own work goes on proves the calls of the chain; one answered where another's goes on shows that
// somewhere in the chain work was handed over unseen: a lock, a cache, a pool may resolve another request's promise.
// Such failures are counted for each process and each way to know. Calls beside a chain (several at once) are linked
// when their request is answered, where their way to know has been borne out over and over. Of a chain that nobody
// knows the beginning of its end tells whose it is.
#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/generations.h"
#include "correlator/async_work.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostRequests = 32'768;  // of a process, with calls that wait for its answer
constexpr std::size_t kMostCallsOfOne = 1024;
constexpr std::size_t kMostMade = 8192;    // of a process, twice
constexpr std::size_t kMostUnknown = 512;  // of a process, twice
constexpr std::size_t kMostBeside = 64;
constexpr std::size_t kMostPutOff = 1024;
constexpr std::size_t kLongestChain = 1024;
constexpr float kProven = 16;
constexpr float kRareAnswers = 50;  // for what an answer proves
constexpr float kProvenCalls = 32;
constexpr float kProvenAlike = 8;  // where all other ways to know have been borne out
constexpr float kRareCalls = 400;
constexpr float kProvenAtOnce = 256;  // for calls whose request may be answered after the window
constexpr float kRareAtOnce = 1000;

class AsyncId : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "async_id"; }
  [[nodiscard]] int rank() const override { return 23; }

  void restart() override {
    for (auto& [pid, process] : processes_) {
      process.work.unsure();
      process.waiting.clear();
      process.reply.reset();
      process.made.clear();
      process.unknown.clear();
      process.queued.clear();
      process.adopted.clear();
      for (auto* const pairs : {&process.proven, &process.beside}) {
        for (Pairs& of : *pairs) of.clear();
      }
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* async = std::get_if<event::Async>(&event)) {
      if (processes_.size() >= kMostProcesses && !processes_.contains(async->pid)) processes_.clear();
      const auto [it, fresh] = processes_.try_emplace(async->pid);
      if (fresh) world.habits.tells_contexts(async->pid);
      it->second.work.observe(*async, [&world](std::uint64_t request) { return world.open.find(request) != nullptr; });
      if (const auto heard = it->second.work.heard()) hear(it->second, *heard, world);
    } else if (processes_.empty()) {
      return;
    } else if (const auto* opened = std::get_if<event::Opened>(&event)) {
      Process* const process = find(opened->conn->pid);
      if (process != nullptr && opened->conn->side != TcpSide::kActive) process->work.serves(opened->conn->id);
    } else if (const auto* closed = std::get_if<event::Closed>(&event)) {
      if (Process* const process = find(closed->conn->pid)) process->work.closed(closed->conn->id);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      if (Process* const process = find(missed->thread.pid)) process->work.unsure();
    }
  }

  void opened(const NodePtr& node, World& world) override {
    Process* const process = find(node->pid);
    if (process == nullptr) return;
    const ConnId conn = node->exchange->conn->id;
    if (node->role == SpanRole::kServer) {
      node->may_work_on = true;
      return process->work.reading(conn, {node->number}, true);
    }
    if (!process->work.sends_on(conn)) return process->work.calls(conn, {});
    const Work by = process->work.now();
    if (by.request == 0) {
      remember(*process, {node, by.via, process->work.cause()});
      return process->work.calls(conn, {});
    }
    const std::uint8_t how = process->work.how();
    process->work.calls(conn, {by.request, node->number, doubts(how)});
    remember(*process, node->number, {by, how});
    wait(*process, node, by.request, world);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    NodePtr request = world.open.find(certain(node));
    if (!request) return std::nullopt;
    return Claim{std::move(request), std::nullopt, "async_id", 0.99};
  }

  [[nodiscard]] std::optional<Claim> late(const Node& call, World& world) override {
    NodePtr request = world.open.answered(certain(call), call.opened);
    if (!request) return std::nullopt;
    return late_work(std::move(request), "async_id", 0.99);
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    Process* const process = find(node->pid);
    if (process == nullptr) return;
    const ConnId conn = node->exchange->conn->id;
    if (node->role == SpanRole::kClient) {
      if (touched.kind != MessageKind::kResponse) return;
      const Made* const made = made_of(*process, node->number);
      process->work.reading(
          conn, made != nullptr ? Work{made->by.request, node->number, doubts(made->how)} : Work{0, node->number},
          false);
      process->reply = node;
    } else if (touched.kind == MessageKind::kRequest) {
      process->work.reading(conn, {node->number}, true);
    } else {
      prove(*process, node);
      adopt(*process, node, world);
      if (touched.first) settle(*process, node, world);
    }
  }

  // Calls made while it was answered already are settled by the end of that.
  void finished(const NodePtr& node, World& world) override {
    Process* const process = node->role == SpanRole::kServer ? find(node->pid) : nullptr;
    if (process == nullptr) return;
    if (node->answering) settle(*process, node, world);
    process->waiting.erase(node->number);
  }

 private:
  // The request the call is made for, by its number; 0: that is not certain now.
  [[nodiscard]] std::uint64_t certain(const Node& call) {
    const Process* const process = find(call.pid);
    if (process == nullptr || !process->work.sends_on(call.exchange->conn->id)) return 0;
    const std::uint8_t how = process->work.how();
    if (doubts(how) != 0 || !process->answers.trusted(kProvenAtOnce, kRareAtOnce) ||
        !process->hows[how].trusted(kProvenAtOnce, kRareAtOnce))
      return 0;
    return process->work.now().request;
  }
  struct Made {
    Work by;
    std::uint8_t how = 0;
    bool proven = false;
    bool refuted = false;
  };
  // A call of nobody knows whom.
  struct Unknown {
    NodePtr call;               // none once it is known
    std::uint64_t via = 0;      // the one whose response led to it
    std::uint64_t cause = 0;    // what has queued it: the same for others that did
    std::uint64_t request = 0;  // whose answer it led to
  };
  using Pairs = std::vector<std::pair<NodePtr, NodePtr>>;  // call and request
  struct Process {
    AsyncWork work;
    std::unordered_map<std::uint64_t, std::vector<NodePtr>> waiting;  // calls, by request
    NodePtr reply;                                                    // the call whose response was read last
    Generations<std::uint64_t, Made> made;                            // by call
    Generations<std::uint64_t, Unknown> unknown;                      // by call
    Generations<std::uint64_t, std::vector<std::uint64_t>> queued;    // such calls, by what has queued them
    TrackRecord led;                                                  // answers by such calls' responses
    Pairs adopted;
    TrackRecord answers;  // given where the request's own work goes on, by ways without doubts
    std::array<TrackRecord, AsyncWork::kHows> hows;
    // Found before the process had shown that it works like this.
    std::array<Pairs, AsyncWork::kHows> proven;  // by answers
    std::array<Pairs, AsyncWork::kHows> beside;  // what answers prove
  };

  Process* find(std::uint32_t pid) {
    const auto it = processes_.find(pid);
    return it == processes_.end() ? nullptr : &it->second;
  }

  static void remember(Process& process, std::uint64_t call, Made made) { process.made.use(call, kMostMade) = made; }
  static void remember(Process& process, const Unknown& unknown) {
    process.unknown.use(unknown.call->number, kMostUnknown) = unknown;
    if (unknown.cause == 0) return;
    auto& beside = process.queued.use(unknown.cause, kMostUnknown);
    if (beside.size() < kMostBeside) beside.push_back(unknown.call->number);
  }
  static Made* made_of(Process& process, std::uint64_t call) { return process.made.peek(call); }

  static constexpr std::uint8_t doubts(std::uint8_t how) { return how & (AsyncWork::kMixed | AsyncWork::kReused); }

  static void wait(Process& process, const NodePtr& call, std::uint64_t request_number, World& world) {
    const NodePtr request = world.open.find(request_number);
    if (!request || call->decided || call->blind) return;
    if (process.waiting.size() >= kMostRequests) process.waiting.clear();
    auto& calls = process.waiting[request_number];
    if (calls.size() < kMostCallsOfOne) calls.push_back(call);
  }

  // Who waits for a response knows better than the way its call was begun, where that may have waited for its
  // connection or is not known. That both agree says nothing of that way: one turn may have told both.
  static void hear(Process& process, const AsyncWork::Heard& heard, World& world) {
    if (!process.reply || process.reply->number != heard.call) return;
    Made* const made = made_of(process, heard.call);
    if (made != nullptr && (made->how & AsyncWork::kHeard) != 0) {
      if (made->by.request == heard.by.request) return;
      process.hows[made->how].add(false);
      made->refuted = true;
      return;
    }
    if (made != nullptr && (made->how & AsyncWork::kReused) == 0) return;
    if (made != nullptr && !heard.agrees) process.hows[made->how].add(false);
    const bool waits = made != nullptr && heard.agrees;
    remember(process, heard.call, {heard.by, static_cast<std::uint8_t>(AsyncWork::kHeard | heard.by.doubt)});
    if (!waits) wait(process, process.reply, heard.by.request, world);
  }

  // Some of its answer is written.
  static void prove(Process& process, const NodePtr& request) {
    const Work work = process.work.sends_on(request->exchange->conn->id) ? process.work.now() : Work();
    if (work.request != 0) {
      const std::uint8_t how = process.work.how();
      const bool own = work.request == request->number;
      if (doubts(how) == 0) process.answers.add(own);
      process.hows[how].add(own);
      std::uint64_t at = work.via;
      for (std::size_t i = 0; at != 0 && i < kLongestChain; ++i) {
        Made* const made = made_of(process, at);
        if (made == nullptr) break;
        // Where there was doubt, it is to blame.
        if (own || doubts(how) == 0 || doubts(made->how) != 0) process.hows[made->how].add(own);
        (own ? made->proven : made->refuted) = true;
        at = made->by.via;
      }
    }
  }

  static void put_off(Pairs& pairs, NodePtr call, const NodePtr& request) {
    if (pairs.size() >= kMostPutOff) pairs.erase(pairs.begin(), pairs.begin() + kMostPutOff / 2);
    pairs.emplace_back(std::move(call), request);
  }

  static void found_for(Process& process, Unknown& unknown, const NodePtr& request) {
    unknown.request = request->number;
    if (!unknown.call->blind) put_off(process.adopted, std::move(unknown.call), request);
  }

  // An answer that responses to calls of nobody knows whom have led to, by Node's numbers, says whose those are; but
  // not where such a call is older than the request, or has led to another's answer as well.
  static void adopt(Process& process, const NodePtr& request, World& world) {
    if (!process.work.sends_on(request->exchange->conn->id) || process.work.now().request != 0) return;
    std::uint64_t at = process.work.now().via;
    for (std::size_t i = 0; at != 0 && i < kLongestChain; ++i) {
      Unknown* const unknown = process.unknown.peek(at);
      if (unknown == nullptr || unknown->request == request->number) break;
      const bool fits = unknown->request == 0 && unknown->call->opened >= request->opened;
      process.led.add(fits);
      if (!fits) return;
      found_for(process, *unknown, request);
      // What one tick has queued is of one request.
      if (const auto* const beside = unknown->cause != 0 ? process.queued.peek(unknown->cause) : nullptr) {
        for (const std::uint64_t number : *beside) {
          Unknown* const other = process.unknown.peek(number);
          if (other != nullptr && other->request == 0) found_for(process, *other, request);
        }
      }
      at = unknown->via;
    }
    if (process.answers.trusted(4 * kProvenCalls, kRareCalls) && process.led.trusted(kProvenAlike, kRareCalls))
      decide_all(process.adopted, 0.99, world);
  }

  static bool believed(const Process& process, std::uint8_t how, bool proven) {
    // Of those that reuse a connection by a number there are few where nothing waits for connections, and elsewhere
    // most are wrong.
    if ((how & AsyncWork::kReused) != 0 && (how & AsyncWork::kInTurn) == 0)
      return process.hows[how].trusted(kProvenAlike, proven ? kRareAnswers : kRareCalls);
    const TrackRecord& record = doubts(how) == 0 ? process.answers : process.hows[how];
    if (!record.trusted(kProven, kRareAnswers)) return false;
    if (proven) return true;
    const bool alike = (how & AsyncWork::kReused) == 0 && process.answers.trusted(4 * kProvenCalls, kRareCalls);
    return process.hows[how].trusted(alike ? kProvenAlike : kProvenCalls, kRareCalls);
  }

  static void settle(Process& process, const NodePtr& request, World& world) {
    const auto it = process.waiting.find(request->number);
    if (it != process.waiting.end()) {
      for (const NodePtr& call : it->second) {
        const Made* const made = made_of(process, call->number);
        if (call->decided || made == nullptr || made->refuted || made->by.request != request->number) continue;
        if ((made->how & AsyncWork::kReused) != 0 && !call->answering && !call->finished) {
          process.hows[made->how].add(false);  // another waits for it
          continue;
        }
        put_off((made->proven ? process.proven : process.beside)[made->how], call, request);
      }
      process.waiting.erase(it);
    }
    for (std::uint8_t how = 0; how < AsyncWork::kHows; ++how) {
      if (believed(process, how, true)) decide_all(process.proven[how], 0.995, world);
      if (believed(process, how, false)) decide_all(process.beside[how], 0.99, world);
    }
  }

  static void decide_all(Pairs& pairs, double confidence, World& world) {
    for (auto& [call, request] : pairs) {
      if (!call->decided) world.found(call, Claim{request, std::nullopt, "async_id", confidence});
    }
    pairs.clear();
  }

  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_async_id() {
  return std::make_unique<AsyncId>();
}

}  // namespace wirespan
