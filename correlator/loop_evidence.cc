#include "correlator/loop_evidence.h"

#include <algorithm>
#include <utility>

#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostInTurn = 1024;
constexpr std::size_t kMostBegun = 32'768;

}  // namespace

void LoopEvidence::event(const Event& event, World& world) {
  if (const auto* opened = std::get_if<event::Opened>(&event)) {
    if (opened->conn->side != TcpSide::kActive || opened->conn->adopted) return;
    if (Turn* const turn = turn_of(opened->actor, world))
      add(*turn, turn->calls, {opened->conn->opened, nullptr, opened->conn->id, true});
  } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
    threads_.erase(missed->thread.tid);
  } else if (const auto* gone = std::get_if<event::ProcessExited>(&event)) {
    exited(gone->pid);
  }
}

void LoopEvidence::opened(const NodePtr& node, World& world) {
  if (node->role == SpanRole::kClient) return sent(node, world);
  const Touch& touch = node->exchange->request->first_byte;
  if (Turn* const turn = turn_of(touch.actor, world))
    add(*turn, turn->requests, {touch.time, node, node->exchange->conn->id});
}

void LoopEvidence::touched(const NodePtr& node, const ExchangeTouched& touched, World& world) {
  if (touched.kind != MessageKind::kResponse || !touched.first) return;
  Turn* const turn = turn_of(touched.touch.actor, world);
  if (turn == nullptr) return;
  const bool answer = node->role == SpanRole::kServer;
  if (!answer && turn->responses.empty()) turn->open = world.open.serving(node->pid).size();
  add(*turn, answer ? turn->answers : turn->responses, {touched.touch.time, node, node->exchange->conn->id});
}

void LoopEvidence::finished(const NodePtr& node, World& world) {
  if (node->role != SpanRole::kClient || !node->exchange->response) return;
  const Touch& touch = node->exchange->response->last_byte;
  if (Turn* const turn = turn_of(touch.actor, world))
    add(*turn, turn->freed, {touch.time, node, node->exchange->conn->id});
}

void LoopEvidence::closing(World& world) {
  for (auto& [tid, turn] : threads_) end(turn, world);
}

void LoopEvidence::restart() {
  threads_.clear();
  begun_.clear();
}

void LoopEvidence::sent(const NodePtr& call, World& world) {
  const Touch& touch = call->exchange->request->first_byte;
  const ConnId conn = call->exchange->conn->id;
  Turn* const turn = turn_of(touch.actor, world);  // ends the one before
  if (begun_.erase(conn) != 0) return first_over(call, world);
  if (turn == nullptr) return;
  const auto over = [conn](const Place& place) { return place.begun && place.conn == conn && !place.node; };
  const auto place = std::ranges::find_if(turn->calls, over);
  if (place != turn->calls.end())
    place->node = call;
  else
    add(*turn, turn->calls, {touch.time, call, conn});
}

// Null: the thread runs no loop, or that turn is over.
LoopEvidence::Turn* LoopEvidence::turn_of(const Actor& actor, World& world) {
  if (actor.loop < 2 || !turn_known(actor) || actor.thread.tid == 0) return nullptr;
  if (threads_.size() >= kMostThreads) threads_.clear();
  Turn& turn = threads_[actor.thread.tid];
  const std::uint32_t loop = actor.loop >> 1U;
  if (turn.loop == loop) return &turn;
  // Counted anew: another thread with the same number.
  const bool late = turn.loop > loop && turn.loop - loop < kMostInTurn;
  if (late) return nullptr;
  end(turn, world);
  turn.tid = actor.thread.tid;
  turn.loop = loop;
  return &turn;
}

void LoopEvidence::end(Turn& turn, World& world) {
  if (turn.loop != 0) ended(turn, world);
  for (const Place& call : turn.calls) {
    if (call.node) continue;
    if (begun_.size() >= kMostBegun) begun_.clear();
    begun_.insert(call.conn);
  }
  turn.requests.clear();
  turn.calls.clear();
  turn.responses.clear();
  turn.answers.clear();
  turn.freed.clear();
  turn.unsure = false;
}

void LoopEvidence::add(Turn& turn, Places& places, Place place) {
  if (places.size() >= kMostInTurn)
    turn.unsure = true;
  else
    places.push_back(std::move(place));
}

}  // namespace wirespan
