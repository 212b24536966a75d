// Requests that were read before a window opened, or before the agent came, and are not answered yet
// (event::Unanswered): nobody saw them, so what rests on knowing all requests of their process says nothing. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "model/event.h"

namespace wirespan {

class UnseenRequests {
 public:
  // most: connections. older_lasts_ns: how long those that were open before the agent came may go unanswered; then they
  // are none that ask: a stream, a subscription, a protocol without answers.
  UnseenRequests(std::size_t most, std::int64_t older_lasts_ns) : most_(most), older_lasts_ns_(older_lasts_ns) {}

  void add(const event::Unanswered& request);
  // Bytes went over the connection. Who receives first was asked only after we had come: seen.
  void moved(const event::Data& data);
  void closed(ConnId conn) { answered(conn); }
  [[nodiscard]] bool any_of(std::uint32_t pid) const { return of_.contains(pid); }
  void advance(BootTime now);
  void clear();

 private:
  void answered(ConnId conn);

  std::size_t most_;
  std::int64_t older_lasts_ns_;
  std::unordered_map<ConnId, std::uint32_t> pids_;
  BootTime older_until_{};                               // of those in it that were open before we came
  std::unordered_map<std::uint32_t, std::uint32_t> of_;  // how many, by process
};

}  // namespace wirespan
