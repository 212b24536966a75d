// What one direction of a connection has received and nobody has understood yet.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/protocols/protocol.h"
#include "base/bytes.h"

namespace wirespan::protocols {

// Pieces in order of position, without a hole between them (what is missing is a piece itself). The bytes of the last
// piece may be borrowed from the caller: they are copied only when they must be kept or joined.
class PieceQueue {
 public:
  [[nodiscard]] bool empty() const { return head_ == pieces_.size(); }
  [[nodiscard]] const Piece& front() const { return pieces_[head_]; }
  // Bytes (or missing bytes) of the front piece not popped yet.
  [[nodiscard]] std::uint64_t front_left() const { return front().position + front().length - position_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] bool at_piece_start() const { return position_ == front().position; }
  // The bytes before the next missing ones, in one run; empty if the front is missing.
  struct Run {
    Bytes bytes;
    std::span<const Piece> pieces;
    bool ends_in_gap = false;
  };
  [[nodiscard]] Run run();
  // The bytes of the front piece only.
  [[nodiscard]] Bytes front_bytes();

  // `bytes` (none for a gap) must stay valid until keep() or until all is popped.
  void push(const Piece& piece, Bytes bytes);
  void pop(std::uint64_t count);  // at most what is there
  void pop_piece() { pop(front_left()); }
  void clear();
  // Copies what is borrowed.
  void keep();
  [[nodiscard]] std::size_t kept_bytes() const { return owned_.size() - owned_head_; }
  [[nodiscard]] std::size_t cost() const { return kept_bytes() + (pieces_.size() - head_) * sizeof(Piece); }

 private:
  void compact();

  std::vector<Piece> pieces_;
  std::size_t head_ = 0;
  std::uint64_t position_ = 0;
  std::vector<std::uint8_t> owned_;  // bytes of all pieces but a borrowed last one
  std::size_t owned_head_ = 0;
  Bytes borrowed_;  // of the last piece
};

}  // namespace wirespan::protocols
