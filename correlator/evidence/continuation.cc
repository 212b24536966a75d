// Whose answer waits for a response, by what the objects of its process refer to (Java, ADR 17). Told when the response
// has been read.
//
// It keeps a record for each process of how often that cannot have been so: calls older than the request.
#include <cstdint>
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
    for (auto& [pid, process] : processes_) process.waiting.clear();
  }

  void event(const Event& event, World& world) override {
    if (const auto* leads = std::get_if<event::Leads>(&event)) {
      if (processes_.size() >= kMostProcesses && !processes_.contains(leads->pid)) processes_.clear();
      led(processes_[leads->pid], *leads, world);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const auto it = processes_.find(node->pid);
    if (it == processes_.end()) return;
    auto& open = it->second.open;
    if (open.size() >= kMostConns) open.clear();
    Open& on = open[node->exchange->conn->id];
    // Several at a time on one connection: which of them is meant nobody tells.
    on.several = on.node && !on.node->finished;
    on.node = node;
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
  struct Process {
    std::unordered_map<ConnId, Open> open;
    TrackRecord fits;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // found before it was proven: call and request
  };

  static NodePtr find(const Process& process, ConnId conn, SpanRole role) {
    const auto it = process.open.find(conn);
    return it == process.open.end() || it->second.several || it->second.node->role != role ? nullptr : it->second.node;
  }

  static void led(Process& process, const event::Leads& leads, World& world) {
    const NodePtr call = find(process, leads.call, SpanRole::kClient);
    const NodePtr request = find(process, leads.request, SpanRole::kServer);
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
