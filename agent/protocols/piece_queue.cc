#include "agent/protocols/piece_queue.h"

#include <algorithm>

namespace wirespan::protocols {
namespace {

// Beyond this many calls their times are merged: a head sent byte by byte must not cost 96 bytes for each.
constexpr std::size_t kMaxPieces = 128;

bool same_touch(const Touch& a, const Touch& b) {
  return a.time == b.time && a.actor.thread == b.actor.thread && a.actor.task == b.actor.task;
}

}  // namespace

PieceQueue::Run PieceQueue::run() {
  Run out;
  std::size_t last = head_;
  while (last < pieces_.size() && !pieces_[last].gap) ++last;
  out.pieces = std::span(pieces_).subspan(head_, last - head_);
  out.ends_in_gap = last < pieces_.size();
  if (out.pieces.empty()) return out;
  const Piece& end = out.pieces.back();
  const std::size_t size = static_cast<std::size_t>(end.position + end.length - position_);
  if (borrowed_.size() == size && kept_bytes() == 0) {
    out.bytes = borrowed_;
    return out;
  }
  if (!borrowed_.empty()) {
    keep();
    out.pieces = std::span<const Piece>(pieces_).subspan(head_, last - head_);
  }
  out.bytes = Bytes(owned_).subspan(owned_head_, size);
  return out;
}

Bytes PieceQueue::front_bytes() {
  if (front().gap) return {};
  const auto left = static_cast<std::size_t>(front_left());
  if (head_ + 1 == pieces_.size()) {
    if (borrowed_.size() == left) return borrowed_;
    keep();
  }
  return Bytes(owned_).subspan(owned_head_, left);
}

void PieceQueue::push(const Piece& piece, Bytes bytes) {
  keep();
  if (empty()) {
    clear();
    position_ = piece.position;
  } else {
    Piece& last = pieces_.back();
    const bool merge = last.gap == piece.gap && (!piece.gap || last.why == piece.why) && !piece.turn_start &&
                       (same_touch(last.touch, piece.touch) || pieces_.size() - head_ >= kMaxPieces);
    if (merge) {
      last.length += piece.length;
      last.touch = piece.touch;
      last.tail = piece.tail;
      last.tail_size = piece.tail_size;
      borrowed_ = bytes;
      return;
    }
  }
  pieces_.push_back(piece);
  borrowed_ = bytes;
}

void PieceQueue::pop(std::uint64_t count) {
  while (count > 0 && !empty()) {
    const std::uint64_t part = std::min(count, front_left());
    if (!front().gap) {
      const std::size_t from_owned = std::min<std::size_t>(static_cast<std::size_t>(part), kept_bytes());
      owned_head_ += from_owned;
      borrowed_ = borrowed_.subspan(static_cast<std::size_t>(part) - from_owned);
    }
    position_ += part;
    count -= part;
    if (front_left() == 0) ++head_;
  }
  compact();
}

void PieceQueue::clear() {
  pieces_.clear();
  head_ = 0;
  owned_.clear();
  owned_head_ = 0;
  borrowed_ = {};
}

void PieceQueue::keep() {
  owned_.insert(owned_.end(), borrowed_.begin(), borrowed_.end());
  borrowed_ = {};
}

// Amortised: moves at most as much as was popped since the last time.
void PieceQueue::compact() {
  if (empty()) return clear();
  if (head_ >= 16 && head_ * 2 >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  if (owned_head_ >= 4096 && owned_head_ * 2 >= owned_.size()) {
    owned_.erase(owned_.begin(), owned_.begin() + static_cast<std::ptrdiff_t>(owned_head_));
    owned_head_ = 0;
  }
}

}  // namespace wirespan::protocols
