// What evidences have in common that look at whole turns of event loops: which requests were read, calls sent,
// responses read and answers sent by a thread between two waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "correlator/evidence/evidence.h"

namespace wirespan {

// One thread. A turn is over once the next one of its thread is seen.
class LoopEvidence : public Evidence {
 public:
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void event(const Event& event, World& world) override;
  void opened(const NodePtr& node, World& world) override;
  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override;
  void finished(const NodePtr& node, World& world) override;
  void closing(World& world) override;
  void restart() override;

 protected:
  struct Place {
    BootTime time{};
    NodePtr node;  // its exchange may be gone
    ConnId conn{};
    bool begun = false;  // the connection is; the node is the call sent over it in the same turn, or none
  };
  using Places = std::vector<Place>;
  struct Turn {
    std::uint32_t tid = 0;
    std::uint32_t loop = 0;
    bool unsure = false;   // more was done than is remembered
    std::size_t open = 0;  // requests of the process, when the first response was read
    Places requests;       // read
    Places calls;          // sent, and connections begun
    Places responses;
    Places answers;
    Places freed;  // connections whose response was read to its end
  };

  // In the order in which they came, which is all but that of time.
  virtual void ended(Turn& turn, World& world) = 0;
  // A call is sent over a connection that was begun in a turn that is over. It is of none.
  virtual void first_over(const NodePtr& call, World& world) = 0;
  virtual void exited(std::uint32_t pid) = 0;

 private:
  Turn* turn_of(const Actor& actor, World& world);
  void end(Turn& turn, World& world);
  static void add(Turn& turn, Places& places, Place place);
  void sent(const NodePtr& call, World& world);

  std::unordered_map<std::uint32_t, Turn> threads_;
  std::unordered_set<ConnId> begun_;  // in turns that are over, without a call yet
};

}  // namespace wirespan
