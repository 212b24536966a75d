// An exchange while the correlator knows it: open, or finished and waiting for its ancestors' links to be decided.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "correlator/propagation/propagation.h"
#include "model/exchange.h"
#include "model/ids.h"
#include "model/process.h"

namespace wirespan {

struct Node;
using NodePtr = std::shared_ptr<Node>;

// A parent that one evidence argues for: a node here, or a span somebody else reported in a header.
struct Claim {
  NodePtr parent;                       // null when remote
  std::optional<RemoteContext> remote;  // set when the parent is not ours
  std::string_view method;              // static; wirespan.link.method
  double confidence = 0;
  // True only if the parent turns out to be answered by the thread that read it: decided when it ends.
  bool provisional = false;
  // Made while events were lost: true only if the parent's answer is seen, else the next request may have come unseen.
  bool lossy = false;
  // True only if the evidence that made it says so later, by World::found; World::refuted tells that it never will.
  bool unproven = false;
  // No parent: it was answered before. A span link, whatever the threshold.
  bool follows_from = false;
  [[nodiscard]] bool waits() const { return provisional || lossy || unproven; }
};

inline Claim late_work(NodePtr request, std::string_view method, double confidence) {
  Claim claim{std::move(request), std::nullopt, method, confidence};
  claim.follows_from = true;
  return claim;
}

struct Node {
  ExchangePtr exchange;  // released once the span is out
  ProcessInfoPtr process;
  SpanRole role{};
  std::uint64_t number = 0;
  std::uint32_t pid = 0;
  SpanId id;
  BootTime opened{};
  std::optional<RemoteContext> carried;  // parsed from the request's headers

  // The link. Never changed once decided: children are exported with the trace it gives.
  bool decided = false;
  std::optional<Claim> link;
  // The request, answered by then, that whoever made the call had worked for.
  std::optional<Claim> after;
  // Below the threshold: exported as span links on a trace of their own. Best first.
  std::vector<Claim> weak;
  double runner_up_distance = 0;  // log-odds of an inferred link against the next best
  // A call whose own trace context gives its request away: that, and whether other evidence was held against it.
  std::uint64_t true_request = 0;
  bool judged = false;
  // Open requests in the process when this call was made, and why none of them was taken. For `wirespan explain`.
  std::uint32_t candidates = 0;
  // A call made while its process also served requests nobody saw: what rests on knowing all of them says nothing.
  bool blind = false;
  // The request whose thread holds the future that whoever read the call's response works on; 0: none is known to.
  std::uint64_t holder = 0;
  // A call that waited for others to end, it seems: when it was made says nothing of whom it was made for.
  bool queued = false;
  std::string_view unlinked_reason;

  TraceId trace;  // valid once known and final
  std::uint8_t trace_flags = 1;
  std::string trace_state;

  bool peer_seen = false;         // the other end of the exchange, on this host
  bool synthetic_parent = false;  // server: the caller is traced but its span was never seen; it is made up
  bool emitted = false;
  bool told = false;  // its ancestors know of it
  // Of its descendants on this host, as far as they are known.
  struct Below {
    std::uint32_t seen = 0;
    std::uint32_t lost = 0;      // the other end is traced, but its span was not seen
    std::uint32_t untraced = 0;  // calls to who is not traced here
  } below;

  bool finished = false;            // its response was sent or received, or never will be
  bool answer_lost = false;         // it never will be, as far as is seen
  bool answering = false;           // the first byte of its response was seen
  bool answered_elsewhere = false;  // server: another thread than its home wrote of its response
  bool may_work_on = false;         // server: an evidence would know who works on for it after its answer
  std::vector<std::weak_ptr<Node>> provisional_children;
  std::optional<Claim> provisional;  // waits for its parent's end
  std::optional<Claim> fallback;     // taken when that did not prove right
  std::uint32_t home_tid = 0;        // server: the thread that last read of its request
};

// As newly made, but with the buffers kept (model/recycle.h).
void reset(Node& node);

}  // namespace wirespan
