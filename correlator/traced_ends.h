// Which ends of each connection are traced here, by the connection's bases: whether the other end of an exchange can be
// expected to be seen. One thread.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "model/event.h"

namespace wirespan {

class TracedEnds {
 public:
  void opened(const ConnectionPtr& conn);
  void closed(const Connection& conn);
  [[nodiscard]] bool other_end_of(const Connection& conn) const;
  // True once: what it is asked for is the first request that is seen at the passive end.
  [[nodiscard]] bool is_first_request(const Connection& conn);
  // The active end, or null.
  [[nodiscard]] ConnectionPtr caller_of(const Connection& conn) const;

 private:
  struct Ends {
    std::uint32_t active = 0;
    std::uint32_t passive = 0;
    bool requested = false;
    ConnectionPtr caller;
  };
  [[nodiscard]] const Ends* find(const Connection& conn) const;

  std::unordered_map<std::uint64_t, Ends> ends_;
};

}  // namespace wirespan
