#include "agent/pairing/pairer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "model/recycle.h"

namespace wirespan {
namespace {

constexpr std::size_t kSpareSlots = 1024;

std::uint64_t wrapped(const Connection& conn, std::uint64_t value) {
  return conn.transport == Transport::kTcp ? value & 0xffffffffU : value;
}

}  // namespace

ExchangeKey exchange_key(const Message& request) {
  const Connection& conn = *request.conn;
  if (!conn.has_base) return {};
  const bool sent = request.direction == Direction::kSent;
  const std::uint64_t asking = sent ? conn.sent_base : conn.received_base;
  const std::uint64_t answering = sent ? conn.received_base : conn.sent_base;
  return {wrapped(conn, asking + request.position), wrapped(conn, answering), request.stream};
}

Pairer::Pairer(Sink<ExchangeItem>& next, Counters& counters, const PairerOptions& options)
    : next_(next),
      options_(options),
      exchanges_(counters.get("pairing.exchanges")),
      one_way_(counters.get("pairing.exchanges.one_way")),
      orphans_(counters.get("pairing.exchanges.without_request")),
      no_response_(counters.get("pairing.exchanges.without_response")),
      cut_(counters.get("pairing.exchanges.cut")),
      lost_(counters.get("pairing.exchanges.lost")),
      gave_way_(counters.get("pairing.dropped.too_many_open")),
      broken_(counters.get("pairing.dropped.connections_too_deep")),
      unmatched_messages_(counters.get("pairing.dropped.unmatched_messages")),
      open_(counters.get("pairing.open")) {}

Pairer::~Pairer() {
  for (auto& [conn, all] : connections_) {
    for (Slot* slot : all.slots) delete slot;
  }
}

void Pairer::accept(const MessageItem& item) {
  if (const auto* b = std::get_if<MessageBegan>(&item)) {
    return b->message->kind == MessageKind::kRequest ? request_began(b->message) : response_began(b->message);
  }
  if (const auto* t = std::get_if<MessageTouched>(&item)) return touched(*t);
  if (const auto* e = std::get_if<MessageEnded>(&item)) return ended(e->message);
  cut(std::get<ConversationEnded>(item));
}

void Pairer::request_began(const MessagePtr& request) {
  open_slot(request, exchange_key(*request));
}

void Pairer::response_began(const MessagePtr& response) {
  PerConnection& all = at(response->conn);
  if (all.broken) return;
  const auto asked = std::find_if(all.slots.begin(), all.slots.end(), [&](const Slot* s) {
    return !s->response_began && s->expects_response && s->stream == response->stream;
  });
  Slot* slot = asked == all.slots.end() || response->unasked ? nullptr : *asked;
  if (response->interim) {
    if (slot != nullptr && slot->exchange != nullptr) {
      next_.accept(ExchangeTouched{slot->exchange, MessageKind::kResponse, response->first_byte, false});
    }
    return;
  }
  if (slot != nullptr && slot->exchange == nullptr) return remove(all, slot);  // gave way before it was answered
  if (slot == nullptr) {
    orphans_.add();
    // Where its request began is not known, so it has no key.
    slot = open_slot(request_for(*response), ExchangeKey{});
    if (slot == nullptr) return;
    slot->request_ended = true;
    slot->exchange->incomplete = response->conn->adopted ? "joined_late" : "lost";
  }
  slot->response_began = true;
  slot->exchange->response = response;
  next_.accept(ExchangeTouched{slot->exchange, MessageKind::kResponse, response->first_byte, true});
}

// Stands for a request nobody saw. When and by whom is taken from its response: the best that is known.
MessagePtr Pairer::request_for(const Message& response) const {
  MessagePtr request = make_recycled<Message>();
  request->kind = MessageKind::kRequest;
  request->conn = response.conn;
  request->direction = opposite(response.direction);
  request->protocol = response.protocol;
  request->stream = response.stream;
  request->name = response.name;
  request->incomplete = "head";
  request->first_byte = response.first_byte;
  request->last_byte = response.first_byte;
  return request;
}

void Pairer::touched(const MessageTouched& item) {
  const PerConnection* const all = find(item.message->conn);
  const Slot* const slot = all == nullptr ? nullptr : slot_of(*all, *item.message);
  if (slot == nullptr) return;
  next_.accept(ExchangeTouched{slot->exchange, item.message->kind, item.touch, false});
}

void Pairer::ended(const MessagePtr& message) {
  if (message->interim) return;
  PerConnection* const all = find(message->conn);
  Slot* const slot = all == nullptr ? nullptr : slot_of(*all, *message);
  if (slot == nullptr) {
    unmatched_messages_.add();
    return;
  }
  if (message->kind == MessageKind::kRequest) {
    slot->request_ended = true;
    if (!slot->expects_response) slot->response_ended = true;
  } else {
    slot->response_ended = true;
  }
  // A response may be over before its request is (RFC 9112 9.5).
  if (!slot->request_ended || !slot->response_ended) return;
  const Exchange& exchange = *slot->exchange;
  if (exchange.response != nullptr) {
    finish(*slot, exchange.response->last_byte.time, exchange.incomplete);
  } else {
    one_way_.add();
    finish(*slot, exchange.request->last_byte.time, exchange.request->incomplete == "lost" ? "lost" : "");
  }
  remove(*all, slot);
}

void Pairer::cut(const ConversationEnded& item) {
  PerConnection* const all = find(item.conn);
  if (all == nullptr) return;
  finish_all(*all, item.how, item.time);
  if (item.how == ConversationEnded::How::kLost) return;
  last_ = nullptr;
  connections_.erase(item.conn->id);
}

void Pairer::finish_all(PerConnection& all, ConversationEnded::How how, BootTime time) {
  using How = ConversationEnded::How;
  const std::vector<Slot*> open = std::move(all.slots);
  all.slots.clear();
  for (Slot* const slot : open) {
    if (slot->exchange != nullptr && slot->response_ended) {
      // A whole response is an answer, however its request went on.
      finish(*slot, slot->exchange->response->last_byte.time, slot->exchange->incomplete);
    } else if (slot->exchange != nullptr) {
      const bool answered = slot->exchange->response != nullptr;
      std::string_view why = "connection_closed";
      if (how == How::kReset) why = "connection_reset";
      if (how == How::kForgotten || how == How::kLost) why = "lost";
      if (how == How::kHandedOver && answered) why = "";
      const bool ignored = how == How::kClosed || how == How::kHandedOver;
      if (ignored && !answered && slot->request_ended) why = "no_response";
      (why == "lost" ? lost_ : why == "no_response" ? no_response_ : cut_).add(why.empty() ? 0 : 1);
      finish(*slot, time, why);
    }
    spare(slot);
  }
}

void Pairer::finish(BootTime now) {
  while (oldest_ != nullptr) {
    Slot& slot = *oldest_;
    PerConnection& all = at(slot.exchange->conn);
    if (!slot.response_ended) cut_.add();
    finish(slot, now, slot.response_ended ? slot.exchange->incomplete : std::string_view("shutdown"));
    remove(all, &slot);
  }
}

Pairer::Forgotten Pairer::forget() {
  Forgotten forgotten;
  for (auto& [conn, all] : connections_) {
    for (Slot* const slot : all.slots) {
      if (slot->exchange != nullptr) {
        ++(slot->exchange->role == SpanRole::kServer ? forgotten.requests : forgotten.calls);
        unlink(*slot);
      }
      spare(slot);
    }
  }
  connections_.clear();
  last_ = nullptr;
  return forgotten;
}

Pairer::PerConnection* Pairer::find(const ConnectionPtr& conn) {
  if (last_ != nullptr && last_conn_ == conn->id) return last_;
  const auto found = connections_.find(conn->id);
  if (found == connections_.end()) return nullptr;
  last_ = &found->second;
  last_conn_ = conn->id;
  return last_;
}

Pairer::PerConnection& Pairer::at(const ConnectionPtr& conn) {
  if (PerConnection* const known = find(conn); known != nullptr) return *known;
  last_ = &connections_[conn->id];
  last_conn_ = conn->id;
  return *last_;
}

Pairer::Slot* Pairer::slot_of(const PerConnection& all, const Message& message) {
  for (Slot* slot : all.slots) {
    if (slot->exchange == nullptr) continue;
    const bool request = message.kind == MessageKind::kRequest;
    const MessagePtr& half = request ? slot->exchange->request : slot->exchange->response;
    if (half.get() == &message) return slot;
  }
  return nullptr;
}

Pairer::Slot* Pairer::open_slot(const MessagePtr& request, const ExchangeKey& key) {
  if (open_count_ >= options_.max_open && oldest_ != nullptr) give_way(*oldest_);
  PerConnection& all = at(request->conn);
  if (!all.broken && (all.slots.size() >= options_.max_waiting_per_connection || slot_count_ >= options_.max_waiting)) {
    broken_.add();
    all.broken = true;
    finish_all(all, ConversationEnded::How::kLost, request->first_byte.time);
  }
  if (all.broken) return nullptr;
  Slot* slot = nullptr;
  if (spare_.empty()) {
    slot = new Slot();
  } else {
    slot = spare_.back().release();
    spare_.pop_back();
  }
  slot->exchange = make_recycled<Exchange>();
  Exchange& exchange = *slot->exchange;
  exchange.number = ++number_;
  exchange.role = request->direction == Direction::kReceived ? SpanRole::kServer : SpanRole::kClient;
  exchange.conn = request->conn;
  exchange.request = request;
  exchange.key = key;
  slot->stream = request->stream;
  slot->expects_response = request->expects_response;
  slot->older = newest_;
  if (newest_ != nullptr) newest_->newer = slot;
  newest_ = slot;
  if (oldest_ == nullptr) oldest_ = slot;
  all.slots.push_back(slot);
  ++slot_count_;
  open_.set(++open_count_);
  exchanges_.add();
  next_.accept(ExchangeOpened{slot->exchange});
  return slot;
}

// Tells the end and lets the exchange go; the slot keeps its place until it is removed.
void Pairer::finish(Slot& slot, BootTime ended, std::string_view incomplete) {
  slot.exchange->ended = ended;
  slot.exchange->incomplete = incomplete;
  unlink(slot);
  const ExchangePtr exchange = std::move(slot.exchange);
  slot.exchange.reset();
  next_.accept(ExchangeFinished{exchange});
}

void Pairer::give_way(Slot& slot) {
  gave_way_.add();
  PerConnection& all = at(slot.exchange->conn);
  finish(slot, slot.exchange->request->last_byte.time, "lost");
  if (slot.response_began || !slot.expects_response) remove(all, &slot);
}

void Pairer::remove(PerConnection& all, Slot* slot) {
  all.slots.erase(std::find(all.slots.begin(), all.slots.end(), slot));
  spare(slot);
}

void Pairer::spare(Slot* slot) {
  --slot_count_;
  if (spare_.size() >= kSpareSlots) {
    delete slot;
    return;
  }
  *slot = Slot();
  spare_.emplace_back(slot);
}

void Pairer::unlink(Slot& slot) {
  if (slot.older != nullptr) slot.older->newer = slot.newer;
  if (slot.newer != nullptr) slot.newer->older = slot.older;
  if (oldest_ == &slot) oldest_ = slot.newer;
  if (newest_ == &slot) newest_ = slot.older;
  slot.older = nullptr;
  slot.newer = nullptr;
  open_.set(--open_count_);
}

}  // namespace wirespan
