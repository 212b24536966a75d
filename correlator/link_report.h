// How links are made and how often they are right, per service, as counters:
//   links.SERVICE.calls                 CLIENT spans
//   links.SERVICE.linked.METHOD         of them with a parent
//   links.SERVICE.unlinked.REASON       without one although requests were open ("ambiguous", "several_open", ...)
//   links.SERVICE.checked.calls         whose request is known from a trace context that both carry
//   links.SERVICE.checked.right, .wrong what the evidence that reads no headers says of those; the rest of them it
//   cannot
//                                       place
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "correlator/node.h"

namespace wirespan {

// One thread.
class LinkReport {
 public:
  explicit LinkReport(Counters& counters) : counters_(counters) {}

  // A span goes out.
  void emitted(const Node& node);
  // A call whose request a header gives away; once per call.
  void checked(const Node& call);
  // What other evidence says of such a call; once per call at most.
  void judged(const Node& call, std::uint64_t request);

 private:
  struct Service {
    std::string prefix;
    Counter& calls;
    Counter& checked;
    Counter& right;
    Counter& wrong;
    std::vector<std::pair<std::string_view, Counter*>> linked;
    std::vector<std::pair<std::string_view, Counter*>> unlinked;
  };
  Service& of(const Node& node);
  Counter& by(std::vector<std::pair<std::string_view, Counter*>>& list, std::string_view word,
              const std::string& prefix);

  Counters& counters_;
  std::unordered_map<std::string, Service> services_;
};

}  // namespace wirespan
