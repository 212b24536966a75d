// streams -> protocols -> pairing: finds out what each connection speaks, from its bytes and never from its port, and
// runs that protocol's conversation over them.
//
// Threads: the pipeline's only. Times: of the items; waiting is ended by StreamTick.
// Memory: one Flow per connection that moved data; bytes only while a protocol waits for more, bounded per direction
// and in all. Every byte and connection given up is counted.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "agent/protocols/piece_queue.h"
#include "agent/protocols/protocol.h"
#include "agent/protocols/registry.h"
#include "base/counters.h"
#include "model/chunk.h"
#include "model/sink.h"
#include "model/verdict.h"

namespace wirespan::protocols {

struct DetectorOptions {
  // A direction's unread bytes; more than any server takes as a message head.
  std::size_t max_lane_bytes = 65536;
  std::size_t max_total_bytes = 16U << 20U;
  // Bytes kept to recognise a protocol by.
  std::size_t max_opening_bytes = 4096;
  // Turns without a recognised beginning until the connection is ignored. More than one: a preamble (PROXY protocol)
  // or a message whose beginning was not seen may come first.
  std::uint8_t max_tries = 6;
  // How long one direction waits for the other (NeedPeer).
  std::int64_t peer_wait_ns = 1'000'000'000;
};

class Detector : public Sink<StreamItem> {
 public:
  // `verdicts` may be null: nobody listens (replay).
  Detector(ProtocolList protocols, Sink<MessageItem>& next, VerdictSink* verdicts, Counters& counters,
           const DetectorOptions& options = {});
  ~Detector() override;

  void accept(const StreamItem& item) override;
  // A sampling window ends: every conversation is forgotten, connections are met again in the middle. Returns how many
  // half-read messages that concerns.
  std::size_t forget();
  [[nodiscard]] std::size_t connections() const { return flows_.size(); }
  [[nodiscard]] std::size_t buffered_bytes() const { return buffered_; }

 private:
  struct Lane {
    std::unique_ptr<PieceQueue> queue;  // null when nothing waits
    std::size_t cost = 0;               // of the queue, as counted in buffered_
    std::uint64_t skip = 0;
    std::uint64_t origin = 0;  // position where the present protocol begins: 0, or behind a hand-over
    Skip::Why why{};
    bool waits_for_peer = false;
    bool listed = false;    // has an entry in waiting_
    bool ignoring = false;  // not recognised: the rest of this turn is of no interest
    bool after_loss = false;
    BootTime wait_until{};
  };
  struct Flow {
    ConnectionPtr conn;
    std::unique_ptr<Conversation> conversation;  // null until recognised
    std::array<Lane, 2> lanes;
    BootTime unseen_until{};  // bytes dropped before anything was recognised, the last of them then
    Direction last_direction{};
    bool moved = false;
    bool ignored = false;
    std::uint8_t tries = 0;
    [[nodiscard]] Lane& lane(Direction d) { return lanes[static_cast<std::size_t>(d)]; }
  };
  struct Waiting {
    BootTime until;
    ConnId conn;
    Direction direction;
  };
  struct Force {             // what the conversation must do without
    bool cut = false;        // no more bytes
    BootTime alone_until{};  // nor the other direction, for bytes moved until then
  };

  void on_bytes(const Chunk& chunk);
  void on_gap(const Gap& gap);
  void on_closed(const StreamClosed& closed);
  void on_tick(BootTime now);

  Flow& flow(const ConnectionPtr& conn);
  void feed(Flow& flow, Direction direction, const Piece& piece, Bytes bytes);
  // Drives what waits in `direction`, then whatever that set free.
  void drive_waiting(Flow& flow, Direction direction, Force force);
  // True if anything was understood, skipped or dropped. Stops when more bytes or the other direction are needed.
  bool drive(Flow& flow, Direction direction, PieceQueue& queue, Force force);
  bool apply(Flow& flow, Direction direction, PieceQueue& queue, const Step& step, const Input& in, Force force);
  bool recognise(Flow& flow, Direction direction, PieceQueue& queue, Force force);
  void skip_some(Flow& flow, Direction direction, PieceQueue& queue);
  void hand_over(Flow& flow, Direction direction, PieceQueue& queue, const HandOver& step);
  void wait_for_peer(Flow& flow, Direction direction, BootTime since);
  void drop(PieceQueue& queue, std::uint64_t bytes);
  void drop_all(PieceQueue& queue);
  void ignore(Flow& flow, BootTime time);
  void settle(Lane& lane);

  const ProtocolList protocols_;
  Sink<MessageItem>& next_;
  VerdictSink* const verdicts_;
  const DetectorOptions options_;
  std::unordered_map<ConnId, Flow> flows_;
  Flow* last_ = nullptr;
  PieceQueue scratch_;  // stands in for a lane's queue while nothing waits there
  std::deque<Waiting> waiting_;
  std::size_t buffered_ = 0;

  Counter& connections_;
  Counter& recognised_;
  Counter& not_recognised_;
  Counter& given_up_;
  Counter& skipped_bytes_;
  Counter& unrecognised_bytes_;
  Counter& overflow_;
  Counter& stuck_;
  Counter& peer_waits_;
  Counter& peer_missed_;
  Counter& preambles_;
  Counter& handed_over_;
  Counter& buffered_counter_;
};

}  // namespace wirespan::protocols
