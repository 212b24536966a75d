// Whoever reads the answer to a call goes on with the request that made the call.
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

class Response : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "response"; }
  [[nodiscard]] int rank() const override { return 40; }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (node->role != SpanRole::kClient || touched.kind != MessageKind::kResponse) return;
    if (touched.touch.actor.task != 0) return;  // goroutines: evidence/goroutine
    if (!node->link || !node->link->parent || node->link->parent->finished) return;
    // One that has not read the request may take up another's work next, and nothing tells when: a thread of a pool, or
    // the loop of a client of which other threads' requests ask for calls.
    const Actor& actor = touched.touch.actor;
    if (node->link->parent->home_tid != actor.thread.tid) return;
    const Activation* now = world.activations.find(touched.touch.actor);
    // Its own request already: keep the method that was found first.
    if (now != nullptr && now->node == node->link->parent->number && now->loop == touched.touch.actor.loop) return;
    world.activations.set(touched.touch.actor,
                          {node->link->parent->number, "response", node->link->confidence, 0, touched.touch.time});
  }
};

}  // namespace

std::unique_ptr<Evidence> make_response() {
  return std::make_unique<Response>();
}

}  // namespace wirespan
