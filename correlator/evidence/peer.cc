// The same exchange seen at its other end on this host: equal (A, R), computed by each end alone (docs/adr/0002).
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

class Peer : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "peer"; }
  // Before the header: a client span of ours is nearer than the span that wrote the header.
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] bool told_by_messages() const override { return true; }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kServer || !node.exchange->key.valid()) return std::nullopt;
    NodePtr client = world.open.peer_of(node);
    if (!client) return std::nullopt;
    return Claim{std::move(client), std::nullopt, "peer", 1.0};
  }
};

}  // namespace

std::unique_ptr<Evidence> make_peer() {
  return std::make_unique<Peer>();
}

}  // namespace wirespan
