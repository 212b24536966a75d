// When a process serves just one request, what it calls is most likely called for it. Not certain: background work
// exists, and shows itself in a Go process whose goroutines tell.
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

class OnlyOpen : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "only_open"; }
  [[nodiscard]] int rank() const override { return 90; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    if (node.opened < world.lossy_until) return std::nullopt;
    if (world.habits.goroutines_explain(node.pid)) return std::nullopt;
    const auto& serving = world.open.serving(node.pid);
    if (serving.size() != 1 || serving.front()->answering) return std::nullopt;
    // What a thread was given to do is of who gave it, which others tell.
    const Errand* const errand = world.errands.find(node.exchange->request->first_byte.actor.thread.tid);
    if (errand != nullptr && errand->node != serving.front()->number) return std::nullopt;
    return Claim{serving.front(), std::nullopt, "only_open", 0.9};
  }
};

}  // namespace

std::unique_ptr<Evidence> make_only_open() {
  return std::make_unique<OnlyOpen>();
}

}  // namespace wirespan
