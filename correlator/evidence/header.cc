// Somebody else said who the parent is: traceparent, B3 and their older cousins.
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

class Header : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "header"; }
  [[nodiscard]] int rank() const override { return 10; }
  [[nodiscard]] bool told_by_messages() const override { return true; }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (!node.carried) return std::nullopt;
    if (node.role == SpanRole::kClient) {
      // A proxy or an old program that hands on what it received did not make a span of it: the request it came with is
      // the parent. Several requests with the same context (a reused traceparent) say nothing.
      NodePtr same;
      for (const NodePtr& serving : world.open.serving(node.pid)) {
        if (!serving->carried || !(serving->carried->trace == node.carried->trace) ||
            !(serving->carried->span == node.carried->span)) {
          continue;
        }
        if (same) return std::nullopt;
        same = serving;
      }
      if (same) return Claim{same, std::nullopt, "forwarded_header", 1.0};
    }
    return Claim{nullptr, node.carried, node.carried->format, 1.0};
  }
};

}  // namespace

std::unique_ptr<Evidence> make_header() {
  return std::make_unique<Header>();
}

}  // namespace wirespan
