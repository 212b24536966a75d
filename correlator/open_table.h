// Every exchange that is not finished, by what evidences look for.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "correlator/node.h"
#include "model/recycle.h"

namespace wirespan {

class OpenTable {
 public:
  // At most `limit` nodes; past it the oldest are not refused but no longer offered as parents.
  explicit OpenTable(std::size_t limit) : limit_(limit) {}

  // False when the table is full.
  bool insert(const NodePtr& node);
  void erase(const Node& node);
  void clear();

  // Null when it is finished or was never here.
  [[nodiscard]] NodePtr find(std::uint64_t number) const;
  // A request that was answered not long before `now`. Null: it is open, or that is long ago, or many were since.
  [[nodiscard]] NodePtr answered(std::uint64_t number, BootTime now) const;
  // The other end of the same exchange on this host, null when not seen (yet). Found for a while after it finished.
  [[nodiscard]] NodePtr peer_of(const Node& node) const;
  void forget_key(const Node& node);

  // Requests the process is serving now, in order of arrival.
  [[nodiscard]] const std::vector<NodePtr>& serving(std::uint32_t pid) const;
  // How many of them were last read by that thread.
  [[nodiscard]] std::uint32_t serving_by_thread(std::uint32_t tid) const;
  void move_home(Node& node, std::uint32_t tid);
  // Requests and calls of the process, in order of arrival. Goes through all there are.
  [[nodiscard]] std::vector<NodePtr> all_of(std::uint32_t pid) const;

  [[nodiscard]] std::size_t size() const { return by_number_.size(); }

 private:
  void leave_home(const Node& node);

  struct Ends {
    NodePtr client;
    NodePtr server;
  };

  // Entries come and go with every request: their memory is kept.
  template <class Key, class Value>
  using Map = std::unordered_map<Key, Value, std::hash<Key>, std::equal_to<Key>,
                                 recycle_detail::Allocator<std::pair<const Key, Value>>>;

  struct Answered {
    NodePtr node;
    BootTime ended{};
  };

  std::size_t limit_;
  Map<std::uint64_t, NodePtr> by_number_;
  Map<ExchangeKey, Ends> by_key_;
  std::unordered_map<std::uint32_t, std::vector<NodePtr>> by_pid_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_thread_;
  // Of those that may work on. By the number's lowest bits: the newest of those that share them.
  static constexpr std::size_t kAnswered = 1024;
  std::vector<Answered> answered_ = std::vector<Answered>(kAnswered);
};

}  // namespace wirespan
