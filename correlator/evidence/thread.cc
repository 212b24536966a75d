// The thread that reads a request works for it, until it is answered.
#include <algorithm>

#include "correlator/evidence/evidence.h"
#include "model/turn.h"

namespace wirespan {
namespace {

// Jetty's client: of the calls that nothing else says anything of, two to three in a hundred were another thread's.
constexpr double kOthersRead = 0.94;

class Thread : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "thread"; }
  [[nodiscard]] int rank() const override { return 30; }

  void opened(const NodePtr& node, World& world) override {
    if (node->role != SpanRole::kServer) return;
    const Message& request = *node->exchange->request;
    if (world.open.serving_by_thread(request.last_byte.actor.thread.tid) > 0) world.habits.shared(node->pid);
    activate(node, request.first_byte, world);
    // The head may have come in two reads by two goroutines or threads: the one that understood it counts.
    if (request.last_byte.actor.thread != request.first_byte.actor.thread) activate(node, request.last_byte, world);
  }
  void finished(const NodePtr& node, World& world) override {
    if (node->role == SpanRole::kServer && node->answering) world.habits.answered(node->pid, !node->answered_elsewhere);
  }
  void event(const Event& event, World& world) override {
    if (const auto* exited = std::get_if<event::ProcessExited>(&event)) world.habits.forget(exited->pid);
  }
  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (node->role == SpanRole::kClient && touched.kind == MessageKind::kResponse && touched.first) {
      const ThreadRef caller = node->exchange->request->first_byte.actor.thread;
      world.habits.response_read(node->pid, touched.touch.actor.thread.tid == caller.tid);
    }
    if (node->role != SpanRole::kServer) return;
    if (touched.kind == MessageKind::kRequest) return activate(node, touched.touch, world);
    if (is_context(touched.touch.actor.task)) world.habits.answers_in_contexts(node->pid);
    if (touched.touch.actor.thread.tid != node->home_tid) node->answered_elsewhere = true;
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    // Goroutines move between threads: see evidence/goroutine. What runs in a Python context stays; whether its thread
    // reads requests without one, the activation tells.
    if (node.process->runtime == Runtime::kGo || (actor.task != 0 && !is_context(actor.task))) return std::nullopt;
    const Activation* activation = world.activations.find_thread(actor.thread.tid);
    if (activation == nullptr) return std::nullopt;
    NodePtr parent = world.open.find(activation->node);
    if (!parent) return std::nullopt;
    // A thread that has been back in epoll_wait since, or has read several requests that are still open, runs an event
    // loop or a scheduler of its own: which of them it works for now cannot be told by the thread alone.
    const auto verdict = world.habits.of(node.pid);
    if (verdict == ThreadHabits::Verdict::kMoves || world.open.serving_by_thread(actor.thread.tid) > 1)
      return std::nullopt;
    // But one that reads and answers requests outside of any Python context, and stays with each, runs a loop for that
    // one alone (asyncio.run in a WSGI application).
    const bool loop_of_its_own = is_context(actor.task) && node.process->runtime == Runtime::kPython &&
                                 verdict == ThreadHabits::Verdict::kStays &&
                                 !world.habits.has_answered_in_contexts(node.pid);
    if (!loop_of_its_own && (!turn_known(actor) || activation->loop != actor.loop)) return std::nullopt;
    const bool others_read = world.habits.others_read(node.pid);
    return Claim{std::move(parent), std::nullopt, activation->method,
                 others_read ? std::min(activation->confidence, kOthersRead) : activation->confidence,
                 verdict == ThreadHabits::Verdict::kUnknown || others_read};
  }

 private:
  static void activate(const NodePtr& node, const Touch& touch, World& world) {
    if (touch.actor.task == 0) world.activations.set(touch.actor, {node->number, "thread", 1.0, 0, touch.time});
    world.open.move_home(*node, touch.actor.thread.tid);
  }
};

}  // namespace

std::unique_ptr<Evidence> make_thread() {
  return std::make_unique<Thread>();
}

}  // namespace wirespan
