// Whose answer waits for a response, by what the objects of its process refer to (Java, ADR 17). Told when the response
// has been read.
//
// It keeps a record for each process of how often that cannot have been so: calls older than the request.
//
// Where a thread waits for the call, that is told instead: the call is the request's that the thread has read.
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostConns = 65'536;  // of a process
constexpr float kProven = 16;
constexpr float kRare = 200;

class Continuation : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "continuation"; }
  [[nodiscard]] int rank() const override { return 24; }

  void restart() override {
    for (auto& [pid, process] : processes_) {
      process.waiting.clear();
      process.serving.clear();
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* leads = std::get_if<event::Leads>(&event)) {
      // By what a pool's thread works on: the evidence of that.
      if (leads->worker != 0) return;
      led(process_of(leads->pid, world), *leads, world);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const auto it = processes_.find(node->pid);
    if (it != processes_.end()) begins(it->second, node);
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    const auto it = processes_.find(node->pid);
    if (it == processes_.end()) return;
    const auto on = it->second.open.find(node->exchange->conn->id);
    if (on != it->second.open.end() && on->second.node == node) it->second.open.erase(on);
  }

 private:
  struct Open {
    NodePtr node;
    bool several = false;
  };
  // A thread, or a virtual one.
  struct Worker {
    std::uint32_t tid = 0;
    std::uint64_t task = 0;
    bool operator==(const Worker&) const = default;
    struct Hash {
      std::size_t operator()(const Worker& of) const { return std::hash<std::uint64_t>{}(of.task << 1U ^ of.tid); }
    };
  };
  struct Process {
    std::unordered_map<ConnId, Open> open;
    std::unordered_map<Worker, std::uint64_t, Worker::Hash> serving;  // requests, by who read them
    TrackRecord fits;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // found before it was proven: call and request
  };

  static NodePtr find(const Process& process, ConnId conn, SpanRole role) {
    const auto it = process.open.find(conn);
    return it == process.open.end() || it->second.several || it->second.node->role != role ? nullptr : it->second.node;
  }

  Process& process_of(std::uint32_t pid, World& world) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    const auto [it, fresh] = processes_.try_emplace(pid);
    if (!fresh) return it->second;
    for (const NodePtr& node : world.open.all_of(pid)) begins(it->second, node);
    return it->second;
  }

  static void begins(Process& process, const NodePtr& node) {
    if (process.open.size() >= kMostConns) process.open.clear();
    Open& on = process.open[node->exchange->conn->id];
    // Several at a time on one connection: which of them is meant nobody tells.
    on.several = on.node && !on.node->finished;
    on.node = node;
    if (node->role == SpanRole::kServer) serves(process, *node);
  }

  static void serves(Process& process, const Node& request) {
    const Actor& actor = request.exchange->request->last_byte.actor;
    if (process.serving.size() >= kMostConns) process.serving.clear();
    process.serving[actor.task != 0 ? Worker{0, actor.task} : Worker{actor.thread.tid, 0}] = request.number;
  }

  static NodePtr served_by(const Process& process, const event::Leads& leads, World& world) {
    const auto it = process.serving.find(Worker{leads.tid, leads.task});
    if (it == process.serving.end() || (leads.tid != 0 && world.open.serving_by_thread(leads.tid) != 1)) return nullptr;
    return world.open.find(it->second);
  }

  static void led(Process& process, const event::Leads& leads, World& world) {
    const NodePtr call = find(process, leads.call, SpanRole::kClient);
    const NodePtr request =
        leads.request != ConnId{} ? find(process, leads.request, SpanRole::kServer) : served_by(process, leads, world);
    if (!call || !request || request->answering || call->blind) return;
    const bool fits = call->opened >= request->opened;
    process.fits.add(fits);
    if (!fits || !process.fits.trusted(0, kRare)) return process.waiting.clear();
    process.waiting.emplace_back(call, request);
    if (!process.fits.trusted(kProven, kRare)) return;
    for (auto& [made, of] : process.waiting) {
      if (!made->decided) world.found(made, Claim{of, std::nullopt, "continuation", 0.98});
    }
    process.waiting.clear();
  }

  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_continuation() {
  return std::make_unique<Continuation>();
}

}  // namespace wirespan
