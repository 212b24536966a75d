// A connection made while working for a request serves that request first, also when its first request is written some
// turns of the loop later, after the kernel reported it established. Believed only of threads that have one request:
// loops that serve several make connections for pools (measured: 94 % wrong in Node, Vert.x and HAProxy under load).
#include "correlator/evidence/evidence.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostFresh = 4096;  // connections made and not used yet; past that the evidence is forgotten

class Connect : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "connect"; }
  [[nodiscard]] int rank() const override { return 35; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void restart() override { fresh_.clear(); }

  void event(const Event& event, World& world) override {
    const auto* opened = std::get_if<event::Opened>(&event);
    if (opened == nullptr || opened->conn->side != TcpSide::kActive || opened->conn->adopted) return;
    const Activation* now = world.activations.find(opened->actor);
    if (now == nullptr || !turn_known(opened->actor) || now->loop != opened->actor.loop) return;
    // Of several requests read by a loop, any may have asked for it: timers run in the same turn.
    if (world.open.serving_by_thread(opened->actor.thread.tid) != 1) return;
    if (fresh_.size() >= kMostFresh) fresh_.clear();
    fresh_[opened->conn->id] = now->node;
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const auto it = fresh_.find(node.exchange->conn->id);
    if (it == fresh_.end()) return std::nullopt;
    NodePtr parent = world.open.find(it->second);
    fresh_.erase(it);
    if (!parent || node.process->runtime == Runtime::kGo) return std::nullopt;
    const auto verdict = world.habits.of(node.pid);
    if (verdict == ThreadHabits::Verdict::kMoves) return std::nullopt;
    return Claim{std::move(parent), std::nullopt, "connect", 0.98, verdict == ThreadHabits::Verdict::kUnknown};
  }

 private:
  std::unordered_map<ConnId, std::uint64_t> fresh_;
};

}  // namespace

std::unique_ptr<Evidence> make_connect() {
  return std::make_unique<Connect>();
}

}  // namespace wirespan
