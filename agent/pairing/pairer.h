// protocols -> correlator: which response answers which request, and what is said of those that have no counterpart.
//
// First in, first out per connection, or per stream where the protocol multiplexes.
// Threads: the pipeline's only. Memory: open exchanges are bounded in all: the oldest gives way, counted. It keeps a
// place in its connection's order of answers, so that its response is not taken for another's; a connection with too
// many of those is not paired any more.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/counters.h"
#include "model/exchange.h"
#include "model/message.h"
#include "model/sink.h"

namespace wirespan {

struct PairerOptions {
  std::size_t max_open = 32768;
  // Requests without an answer on one connection. Protocols bound pipelining by themselves, well below.
  std::size_t max_waiting_per_connection = 4096;
  std::size_t max_waiting = 131072;
};

class Pairer : public Sink<MessageItem> {
 public:
  Pairer(Sink<ExchangeItem>& next, Counters& counters, const PairerOptions& options = {});
  ~Pairer() override;

  void accept(const MessageItem& item) override;
  // The agent stops: every open exchange is finished as it is, incomplete = "shutdown".
  void finish(BootTime now);
  // A sampling window ends: what is open is forgotten, not told. Returns how many requests to and calls of traced
  // processes that was.
  struct Forgotten {
    std::size_t requests = 0;
    std::size_t calls = 0;
  };
  Forgotten forget();
  [[nodiscard]] std::size_t open() const { return open_count_; }

 private:
  // An exchange not finished. Given way (exchange null), it still holds its place in the order of answers.
  struct Slot {
    ExchangePtr exchange;
    std::uint64_t stream = 0;
    bool request_ended = false;
    bool response_ended = false;
    bool response_began = false;
    bool expects_response = true;
    Slot* older = nullptr;  // of all open exchanges
    Slot* newer = nullptr;
  };
  struct PerConnection {
    std::vector<Slot*> slots;  // oldest first
    bool broken = false;       // too many: nothing is paired here any more
  };

  void request_began(const MessagePtr& request);
  void response_began(const MessagePtr& response);
  void touched(const MessageTouched& item);
  void ended(const MessagePtr& message);
  void cut(const ConversationEnded& item);
  PerConnection* find(const ConnectionPtr& conn);
  PerConnection& at(const ConnectionPtr& conn);
  // The slot that `message` is one half of, null if it has none.
  static Slot* slot_of(const PerConnection& all, const Message& message);
  // Null when there is no room.
  Slot* open_slot(const MessagePtr& request, const ExchangeKey& key);
  MessagePtr request_for(const Message& response) const;
  void finish(Slot& slot, BootTime ended, std::string_view incomplete);
  void finish_all(PerConnection& all, ConversationEnded::How how, BootTime time);
  void give_way(Slot& slot);
  void remove(PerConnection& all, Slot* slot);
  void spare(Slot* slot);
  void unlink(Slot& slot);

  Sink<ExchangeItem>& next_;
  const PairerOptions options_;
  std::unordered_map<ConnId, PerConnection> connections_;
  PerConnection* last_ = nullptr;  // of the connection of the last message: most come in runs
  ConnId last_conn_{};
  Slot* oldest_ = nullptr;
  Slot* newest_ = nullptr;
  std::size_t open_count_ = 0;
  std::size_t slot_count_ = 0;
  std::uint64_t number_ = 0;
  std::vector<std::unique_ptr<Slot>> spare_;

  Counter& exchanges_;
  Counter& one_way_;
  Counter& orphans_;
  Counter& no_response_;
  Counter& cut_;
  Counter& lost_;
  Counter& gave_way_;
  Counter& broken_;
  Counter& unmatched_messages_;
  Counter& open_;
};

// The key both ends compute (model/ids.h): where the request begins, and the first byte of the answering direction.
// TCP: 32-bit sequence numbers, wrapping. Invalid when the connection's base is not known.
[[nodiscard]] ExchangeKey exchange_key(const Message& request);

}  // namespace wirespan
