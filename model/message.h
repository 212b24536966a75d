// protocols -> pairing: one request or response, in no protocol's own terms.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/attributes.h"
#include "model/event.h"

namespace wirespan {

// A moment of I/O that belongs to a message.
struct Touch {
  BootTime time{};
  Actor actor;
};

// Headers that carry, or may carry, an identity given by somebody else, raw: names in lower case, values unchanged, in
// order. What they mean is the correlator's business (correlator/evidence).
using CarriedHeaders = std::vector<std::pair<std::string, std::string>>;

enum class MessageKind : std::uint8_t { kRequest, kResponse };

struct Message {
  MessageKind kind{};
  ConnectionPtr conn;
  Direction direction{};
  std::string_view protocol;   // static storage: "http"
  std::uint64_t stream = 0;    // of a multiplexed protocol, else 0
  std::uint64_t position = 0;  // of its first byte, from the connection's base
  Touch first_byte;
  Touch last_byte;        // so far, until ended
  Attributes attributes;  // semantic conventions; requests and responses never use the same key
  CarriedHeaders carried;
  std::string name;           // requests: low-cardinality span name
  std::string error_type;     // "" or error.type for the role whose flag below is set
  bool client_error = false;  // an error for a CLIENT span
  bool server_error = false;  // an error for a SERVER span
  bool expects_response = true;
  bool interim = false;  // does not answer the request yet (1xx)
  bool unasked = false;  // responses: known to answer none of the requests seen (joined late, lost)
  // What was not seen of it; empty when all was. Low-cardinality words: "head", "joined_late", "lost", "cut".
  std::string_view incomplete;
  // Values rare enough to connect an incoming with an outgoing message (ids in paths, headers, keys, statements),
  // hashed with mix64 over their bytes; at most 16.
  std::vector<std::uint64_t> rare_values;
};
using MessagePtr = std::shared_ptr<Message>;

// As newly made, but with the buffers kept (model/recycle.h).
void reset(Message& message);

// begin once, when the head is understood; touch for every further I/O; end once, unless the conversation ends in the
// middle of it. A message is only changed by its protocol, and not after its end.
struct MessageBegan {
  MessagePtr message;
};
struct MessageTouched {
  MessagePtr message;
  Touch touch;
};
struct MessageEnded {
  MessagePtr message;
};
// No more messages on this connection. Exchanges still open are cut, unless the connection was handed over to another
// protocol (Upgrade, CONNECT): then they ended properly.
struct ConversationEnded {
  ConnectionPtr conn;
  BootTime time{};
  // kLost: bytes were lost where messages begin, so no later message answers an earlier one; new messages may follow.
  enum class How : std::uint8_t { kClosed, kReset, kForgotten, kHandedOver, kLost } how = How::kClosed;
};
using MessageItem = std::variant<MessageBegan, MessageTouched, MessageEnded, ConversationEnded>;

}  // namespace wirespan
