#include "agent/protocols/protocol.h"

#include <algorithm>

#include "model/recycle.h"

namespace wirespan::protocols {

const Touch& Input::touch_at(std::size_t offset) const {
  const std::uint64_t at = position + offset;
  for (const Piece& piece : pieces) {
    if (at < piece.position + piece.length) return piece.touch;
  }
  return pieces.back().touch;
}

std::uint64_t Input::front_call() const {
  const Piece& front = pieces.front();
  return std::min<std::uint64_t>(front.position + front.length - position, bytes.size());
}

MessagePtr Output::make(std::string_view protocol, MessageKind kind, Direction direction) const {
  MessagePtr message = make_recycled<Message>();
  message->kind = kind;
  message->conn = conn_;
  message->direction = direction;
  message->protocol = protocol;
  return message;
}

void Output::touch(const MessagePtr& message, const Touch& touch) {
  const bool same_call = message->last_byte.time == touch.time &&
                         message->last_byte.actor.thread == touch.actor.thread &&
                         message->last_byte.actor.task == touch.actor.task;
  if (same_call) return;
  message->last_byte = touch;
  sink_.accept(MessageTouched{message, touch});
}

}  // namespace wirespan::protocols
