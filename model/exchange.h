// pairing -> correlator: a request and what answered it, as one end saw it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>

#include "model/event.h"
#include "model/ids.h"
#include "model/message.h"

namespace wirespan {

struct Exchange {
  std::uint64_t number = 0;  // in order of opening, unique within the run
  SpanRole role{};           // kServer: the traced process received the request
  ConnectionPtr conn;
  ExchangeKey key;              // invalid when the connection has no base
  MessagePtr request;           // never null; a response without a request gets an empty one, incomplete = "head"
  MessagePtr response;          // null until it began
  BootTime ended{};             // set when finished
  std::string_view incomplete;  // "" or why: "no_response", "connection_closed", "connection_reset", "lost",
                                // "joined_late", "shutdown"
  [[nodiscard]] std::uint32_t pid() const { return request->first_byte.actor.thread.pid; }
};
using ExchangePtr = std::shared_ptr<Exchange>;

// As newly made (model/recycle.h).
inline void reset(Exchange& exchange) {
  // Every field is named, so that a new one does not compile before it has its line below.
  auto& [number, role, conn, key, request, response, ended, incomplete] = exchange;
  number = 0;
  role = {};
  conn.reset();
  key = {};
  request.reset();
  response.reset();
  ended = {};
  incomplete = {};
}

// Told in this order per exchange: opened, touched*, finished. "touched" is every I/O of either message after the
// first of the request: the correlator follows work through threads by them.
struct ExchangeOpened {
  ExchangePtr exchange;
};
struct ExchangeTouched {
  ExchangePtr exchange;
  MessageKind kind{};
  Touch touch;
  bool first = false;  // first byte of the response
};
struct ExchangeFinished {
  ExchangePtr exchange;
};
using ExchangeItem = std::variant<ExchangeOpened, ExchangeTouched, ExchangeFinished>;

}  // namespace wirespan
