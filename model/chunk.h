// streams -> protocols: one direction of one connection as bytes in order, with what is missing said.
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.h"
#include "model/event.h"

namespace wirespan {

struct Chunk {
  ConnectionPtr conn;
  Direction direction{};
  BootTime time{};
  Actor actor;
  std::uint64_t position = 0;
  Bytes bytes;  // valid during the call only
};

// Bytes known to have passed but not available. They did arrive at `time`, moved by `actor`, when kNotCaptured.
struct Gap {
  enum class Why : std::uint8_t { kNotCaptured, kLost, kJoinedLate };
  ConnectionPtr conn;
  Direction direction{};
  BootTime time{};
  Actor actor;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  Why why{};
  Bytes tail;  // kNotCaptured: the last bytes before position + length, at most 16; may be empty
};

struct StreamClosed {
  ConnectionPtr conn;
  BootTime time{};
  event::Closed::How how{};
};

// Gives protocols the passing of time on connections where nothing moves.
struct StreamTick {
  BootTime time{};
};

using StreamItem = std::variant<Chunk, Gap, StreamClosed, StreamTick>;

}  // namespace wirespan
