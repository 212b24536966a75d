// A reason to link spans. One file each; the folder is the list (CMake makes the registry of it).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "correlator/activation.h"
#include "correlator/errands.h"
#include "correlator/node.h"
#include "correlator/open_table.h"
#include "correlator/thread_habits.h"

namespace wirespan {

// What evidences see and share. One thread.
struct World {
  OpenTable& open;
  Activations& activations;
  ThreadHabits& habits;
  Errands& errands;
  // The parent of a call that was made before, learned only now. Nothing happens if it was decided since.
  std::function<void(const NodePtr& call, Claim claim)> found;
  // A claim that waits for proof (Claim::unproven) gets none.
  std::function<void(const NodePtr& call)> refuted;
  // Until then events were lost: a request may be open that nobody saw.
  BootTime lossy_until{};
};

class Evidence {
 public:
  virtual ~Evidence() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Claims are asked for in this order, lowest first; the first one at or above the threshold decides.
  [[nodiscard]] virtual int rank() const = 0;

  // Watching. `opened` comes after the node's own claim was asked for.
  virtual void opened(const NodePtr& /*node*/, World& /*world*/) {}
  virtual void touched(const NodePtr& /*node*/, const ExchangeTouched& /*touched*/, World& /*world*/) {}
  virtual void finished(const NodePtr& /*node*/, World& /*world*/) {}
  virtual void event(const Event& /*event*/, World& /*world*/) {}
  // Whether event() is to be called for event::Data as well, which nearly all events are.
  [[nodiscard]] virtual bool watches_data() const { return false; }
  // The same for those of length 0: the end of what a connection receives was read.
  [[nodiscard]] virtual bool watches_ends() const { return false; }

  // Whether its claims hold only if every request its process serves is known.
  [[nodiscard]] virtual bool needs_all_requests() const { return false; }
  // Whether its claims rest on what the messages themselves say, which no loss of others changes.
  [[nodiscard]] virtual bool told_by_messages() const { return false; }
  // Nothing more will be seen of what is under way (a sampling window ends, or the agent): the last chance to say whose
  // calls those are.
  virtual void closing(World& /*world*/) {}
  // A sampling window ended: forget what is under way, keep what was learned of how processes work.
  virtual void restart() {}

  // The request that whoever makes the call worked for until it was answered: late work, unless that one has gone on to
  // work for others. Asked where no evidence had a claim.
  [[nodiscard]] virtual std::optional<Claim> late(const Node& /*call*/, World& /*world*/) { return std::nullopt; }

  // The parent of `node`, whose request was just sent or received, as far as this evidence can say.
  [[nodiscard]] virtual std::optional<Claim> claim(const Node& /*node*/, World& /*world*/) { return std::nullopt; }
};

// Every evidence in this folder, by rank.
[[nodiscard]] std::vector<std::unique_ptr<Evidence>> all_evidence();

}  // namespace wirespan
