// A child process works for the request its parent's thread was working for (CGI, shells started by a service).
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

class Fork : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "fork"; }
  [[nodiscard]] int rank() const override { return 50; }

  void event(const Event& event, World& world) override {
    if (const auto* forked = std::get_if<event::Forked>(&event)) {
      // A new thread of the same process may live on and serve anybody: only a new process inherits.
      if (forked->child.pid == forked->parent.pid) return;
      const Activation* parent = world.activations.find_thread(forked->parent.tid);
      if (parent == nullptr || !world.open.find(parent->node)) return;
      Activation inherited = *parent;
      inherited.method = "fork";
      inherited.loop = 0;  // the child's thread has made no turn yet
      world.activations.set_thread(forked->child.tid, inherited);
    } else if (const auto* exited = std::get_if<event::ThreadExited>(&event)) {
      world.activations.forget_thread(exited->thread.tid);
    }
  }
};

}  // namespace

std::unique_ptr<Evidence> make_fork() {
  return std::make_unique<Fork>();
}

}  // namespace wirespan
