// What a protocol implements, and all it knows of the world. Protocols are pure: bytes in, messages out; no clock, no
// socket, no buffer of their own. The framework (detector.h) keeps bytes until they are wanted, skips what is not
// wanted by position, waits for the other direction, follows hand-overs, and bounds all of it.
//
// Threads: the pipeline's only. docs/adding-a-protocol.md walks through one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "model/chunk.h"
#include "model/message.h"
#include "model/sink.h"
#include "model/verdict.h"

namespace wirespan::protocols {

// `bytes` were understood; ask again for what follows.
struct Parsed {
  std::size_t bytes = 0;
};
// Not enough to tell; at least so many more. Never the answer when Input::cut is set.
struct NeedMore {
  std::size_t bytes = 1;
};
// Cannot be understood before the other direction moves on (a response whose request was not seen yet: two threads of
// the client are seen out of order by microseconds). Never the answer when Input::alone is set.
struct NeedPeer {};
// The next bytes, captured or not, are passed over; Conversation::skipped hears of each part of them.
struct Skip {
  std::uint64_t bytes = 0;
  enum class Why : std::uint8_t { kBody, kUnrecognised } why = Why::kBody;
};
// After `bytes` more the connection, both directions, belongs to another protocol: `to` if it is one of ours, else
// whatever is recognised (HTTP's Upgrade and CONNECT, PostgreSQL's and SMTP's StartTLS).
struct HandOver {
  std::size_t bytes = 0;
  std::string_view to;
};
// Nothing of this connection will be understood any more.
struct GiveUp {};
using Step = std::variant<Parsed, NeedMore, NeedPeer, Skip, HandOver, GiveUp>;

// A part of one I/O call in the framework's queue.
struct Piece {
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  Touch touch;
  bool gap = false;
  bool turn_start = false;  // its first byte is the first in this direction since the other direction moved
  Gap::Why why{};
  std::uint8_t tail_size = 0;
  std::array<std::uint8_t, 16> tail{};
};

// Bytes of one direction, without a hole.
struct Input {
  Direction direction{};
  std::uint64_t position = 0;  // of bytes.front(), from the connection's base
  Bytes bytes;
  bool turn_start = false;  // bytes.front() starts a call and is the first in this direction since the other one moved
  bool cut = false;         // what follows is missing, or there is no room to keep more
  bool alone = false;       // waiting for the other direction is over
  std::span<const Piece> pieces;  // the calls `bytes` came with; the first may begin before bytes.front()

  // When and by whom the byte at `offset` was moved.
  [[nodiscard]] const Touch& touch_at(std::size_t offset) const;
  // What is left of the call at the front: only where a call begins may a message be found again.
  [[nodiscard]] std::uint64_t front_call() const;
};

// Bytes that are not there, where the protocol would have looked at them.
struct Hole {
  Direction direction{};
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  Touch touch;
  bool turn_start = false;
  Gap::Why why{};
  Bytes tail;  // kNotCaptured: the last bytes of the call, at most 16; may be empty
};

// How a conversation speaks. Valid during the call only.
class Output {
 public:
  Output(Sink<MessageItem>& sink, VerdictSink* verdicts, const ConnectionPtr& conn)
      : sink_(sink), verdicts_(verdicts), conn_(conn) {}

  [[nodiscard]] const ConnectionPtr& conn() const { return conn_; }
  // A message with conn, direction, protocol and kind set, from the recycled store.
  [[nodiscard]] MessagePtr make(std::string_view protocol, MessageKind kind, Direction direction) const;
  void begin(const MessagePtr& message) { sink_.accept(MessageBegan{message}); }
  // Sets last_byte; tells the correlator, unless it is the same call as before.
  void touch(const MessagePtr& message, const Touch& touch);
  void end(const MessagePtr& message) { sink_.accept(MessageEnded{message}); }
  // Bytes were lost where messages begin: what is open gets no answer that could be trusted.
  void lost(BootTime time) { sink_.accept(ConversationEnded{conn_, time, ConversationEnded::How::kLost}); }
  void want(Verdict verdict) {
    if (verdicts_ != nullptr) verdicts_->set(conn_->id, verdict);
  }

 private:
  Sink<MessageItem>& sink_;
  VerdictSink* verdicts_;
  const ConnectionPtr& conn_;
};

// One connection's state.
class Conversation {
 public:
  virtual ~Conversation() = default;
  // What do these bytes mean? Must say something else than Parsed{0} after a few calls without progress.
  virtual Step next(const Input& in, Output& out) = 0;
  // Bytes are missing at a place where next() would be asked. Parsed, NeedMore and NeedPeer are no answers: usually
  // Skip{hole.length, ...}.
  virtual Step missing(const Hole& hole, Output& out) = 0;
  // A part of what was skipped went by; tail as in Hole, or the captured bytes themselves when the part was captured.
  struct Skipped {
    Direction direction{};
    std::uint64_t end = 0;  // position behind the part
    Touch touch;
    Bytes bytes;  // the part's last bytes as far as known; not all of it if the part was not captured
    bool done = false;
    bool lost = false;  // nobody saw it go by: `touch` is of what came next, perhaps much later
  };
  virtual void skipped(const Skipped& part, Output& out) = 0;
  // No more bytes. What is open ends here, complete or not.
  virtual void closed(const StreamClosed& closed, Output& out) = 0;
};

// What is known when a conversation must be recognised.
struct Opening {
  const Connection& conn;
  Direction direction{};
  BootTime unseen_until{};  // earlier bytes of the connection were dropped or lost, the last of them then
  Bytes bytes;              // first bytes of a call
  bool from_start = false;  // no byte of this direction came before (or since a hand-over)
  bool turn_start = false;
  bool cut = false;         // no more bytes will be joined to these
  bool after_loss = false;  // bytes were lost right before: these may begin in the middle of anything
  Bytes other;              // first bytes of the other direction that still wait, if any
};
enum class Likeness : std::uint8_t { kNo, kMaybe, kYes };  // kMaybe: with more bytes it may be

class Protocol {
 public:
  virtual ~Protocol() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  // static storage
  // Pure; must not say kYes of another protocol's bytes, nor of a body that happens to look alike.
  [[nodiscard]] virtual Likeness recognise(const Opening& opening) const = 0;
  // After kYes, with the same opening; or on a hand-over by name, with whatever is there.
  [[nodiscard]] virtual std::unique_ptr<Conversation> start(const Opening& opening) = 0;
};

}  // namespace wirespan::protocols
