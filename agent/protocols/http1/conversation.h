// One HTTP/1.x connection: which message each byte belongs to, and which request a response answers.
//
// Threads: the pipeline's only. Memory: two messages at most and kMaxPending requests; bodies are never looked at.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/protocols/http1/framing.h"
#include "agent/protocols/http1/http1.h"
#include "agent/protocols/protocol.h"

namespace wirespan::http1 {

class HttpConversation : public protocols::Conversation {
 public:
  // `requests`: the direction they flow in. `known`: the direction that stands at the beginning of a message;
  // `from_start`: so does the other. `unseen_until`: bytes
  // were dropped before, the last of them then.
  HttpConversation(std::shared_ptr<Shared> shared, Direction requests, Direction known, bool from_start,
                   BootTime unseen_until);

  protocols::Step next(const protocols::Input& in, protocols::Output& out) override;
  protocols::Step missing(const protocols::Hole& hole, protocols::Output& out) override;
  void skipped(const Skipped& part, protocols::Output& out) override;
  void closed(const StreamClosed& closed, protocols::Output& out) override;

 private:
  enum class State : std::uint8_t {
    kStart,       // a message begins here
    kBody,        // Content-Length; `left` bytes to go
    kChunkSize,   // a chunk-size line begins here
    kChunkData,   // data and its line end; `left` bytes to go
    kTrailer,     // behind the last chunk
    kChunkLost,   // chunked, but sizes were missed: ends with the last chunk, the turn or the connection
    kUntilClose,  // ends with the connection
    kUntilTurn,   // the head was cut: ends with the turn or the connection
    kResync,      // no message; one may begin where a turn begins
  };
  struct Lane {
    State state = State::kStart;
    MessagePtr message;      // being received; null in kStart and kResync
    std::uint64_t body = 0;  // position of its body
    std::uint64_t at = 0;    // position of the last byte seen, plus one
    std::uint64_t left = 0;
    std::uint32_t scanned = 0;  // of a head that is not complete: no end before this
    LastChunkWatch last_chunk;
    bool sized = false;       // the body's size is known when it ends
    bool after_loss = false;  // bytes were lost right before
    bool line_seen = false;   // of a head that is not complete: its start line is
  };
  struct Pending {  // a request whose final response has not begun
    BootTime begun;
    Asked asked = Asked::kOther;
    bool upgrade = false;
  };

  static std::size_t index(Direction d) { return static_cast<std::size_t>(d); }
  [[nodiscard]] Direction responding() const { return opposite(requests_); }
  Lane& lane(Direction d) { return lanes_[index(d)]; }
  Lane& requests() { return lane(requests_); }
  Lane& responses() { return lane(responding()); }
  [[nodiscard]] bool open_ended(const Lane& lane) const;
  [[nodiscard]] bool begins(const protocols::Input& in) const;

  protocols::Step at_start(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_head(Lane& lane, const protocols::Input& in, std::size_t size, bool cut, protocols::Output& out);
  void request(Lane& lane, const protocols::Input& in, std::size_t size, bool cut, protocols::Output& out);
  protocols::Step response(Lane& lane, const protocols::Input& in, std::size_t size, bool cut, protocols::Output& out);
  protocols::Step in_chunks(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step in_trailer(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step resync(Lane& lane, const protocols::Input& in, protocols::Output& out);
  MessagePtr make(const protocols::Input& in, MessageKind kind, std::size_t size, bool cut, protocols::Output& out);
  void begin(Lane& lane, const MessagePtr& message, const Body& body, std::uint64_t position, protocols::Output& out);
  void touched(Lane& lane, const Touch& touch, std::uint64_t position, protocols::Output& out);
  static void set_size(const Lane& lane);
  void finish(Lane& lane, State next, protocols::Output& out);
  // Bytes went by in the answering direction that may have been answers.
  void blind(BootTime time) { blind_until_ = std::max(blind_until_, time); }
  void unseen(const Lane& lane, BootTime time, protocols::Output& out);
  void lose_pending(BootTime time, protocols::Output& out);
  void want_more(protocols::Output& out);
  [[nodiscard]] bool tunnel_asked() const;

  std::shared_ptr<Shared> shared_;
  std::array<Lane, 2> lanes_;
  std::vector<Pending> pending_;  // oldest first
  Direction requests_;
  // Requests or responses passed unseen: no response can be told to answer a request, until both sides have come to
  // rest.
  bool unsure_ = false;
  // Answers may have passed unseen until then, so a request made before gets none that could be trusted.
  BootTime blind_until_{};
  bool pipelined_ = false;  // a request was made while another was open
  bool answered_ = false;   // a response was seen
  bool wants_more_ = false;
  bool orphan_ = false;  // the response being received answers no request we saw
  std::uint8_t strange_turns_ = 0;
};

}  // namespace wirespan::http1
