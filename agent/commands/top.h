// wirespan top: live figures per service, in the terminal.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "agent/health/snapshot.h"

namespace wirespan {

struct TopFlags {
  std::string connect;          // an agent's health.listen
  std::string interval = "2s";  // between looks
  bool once = false;            // one look, as text; for scripts
};

// Shows one look after the other, each with what changed since the one before.
class TopScreen {
 public:
  explicit TopScreen(bool redraw) : redraw_(redraw) {}
  void show(HealthSnapshot now);

 private:
  bool redraw_;
  HealthSnapshot before_;
};

namespace commands {

// Of a running agent.
int top(const TopFlags& flags);

}  // namespace commands
}  // namespace wirespan
