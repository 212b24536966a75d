// Gathers the spans of each trace until the trace can be shown whole. Bounded: what must go early is shown as it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/span.h"

namespace wirespan {

// What the console shows of a span, safe for a terminal.
struct ShownSpan {
  SpanId id;
  SpanId parent;  // invalid: a root
  bool client = false;
  bool error = false;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::string service;
  std::string name;
  std::string peer;                // clients: "host:port" of the server asked
  std::string status;              // "200", "503", "500 timeout", "error"
  std::string link;                // how the parent is known, when that is not certain: "thread 80%"
  std::string parent_method;       // also when certain
  std::vector<std::string> notes;  // lines below it: span links, what is missing
};

struct ShownTrace {
  TraceId id;
  std::vector<ShownSpan> spans;
  bool continued = false;  // a part of it was shown before
  bool cut_short = false;  // more may come: there was no room to wait for it
};

struct TraceBookLimits {
  std::size_t spans = 20'000;          // waiting, in all
  std::size_t spans_of_trace = 2'000;  // then the trace is shown in parts
  std::size_t remembered = 4'096;      // traces shown, to say that a late span continues one
  // Nothing new for this long: a trace whose root is there and whose every parent is known; any other.
  std::chrono::milliseconds quiet{300};
  std::chrono::milliseconds quiet_incomplete{1'500};
};

class TraceBook {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit TraceBook(TraceBookLimits limits = {}) : limits_(limits) {}

  void add(const Span& span, Time now);
  // Traces to show, in the order of their last span.
  [[nodiscard]] std::vector<ShownTrace> take_due(Time now);
  [[nodiscard]] std::vector<ShownTrace> take_all();
  // When take_due may next have something; Time::max() when nothing waits.
  [[nodiscard]] Time next_due() const;

 private:
  struct Pending {
    ShownTrace trace;
    Time last{};
    std::unordered_set<SpanId> ids;
    std::unordered_set<SpanId> missing;  // parents not seen yet
    bool root = false;
  };
  using Place = std::list<Pending>::iterator;

  [[nodiscard]] Time due(const Pending& pending) const;
  void show(Place place, bool cut_short);

  TraceBookLimits limits_;
  std::list<Pending> pending_;  // the one with the oldest last span first
  std::unordered_map<TraceId, Place> places_;
  std::size_t waiting_spans_ = 0;
  std::vector<ShownTrace> ready_;
  std::list<TraceId> shown_order_;
  std::unordered_set<TraceId> shown_;
};

}  // namespace wirespan
