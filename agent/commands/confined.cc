#include "agent/commands/confined.h"

#include "agent/rights/capabilities.h"
#include "agent/rights/syscall_filter.h"

namespace wirespan {

void tell_missing_rights(const std::function<void(const std::string&)>& say) {
  for (const Capability* missing : missing_capabilities(held_capabilities())) {
    say("wirespan: without " + std::string(missing->name) + " (" + std::string(missing->purpose) +
        "): " + std::string(missing->without));
  }
}

Status confine(const Config& config, bool tracing, Counters& counters) {
  Counter& refused = counters.get("self.refused_calls");
  if (Status given_up = give_up_capabilities(tracing); !given_up) return given_up;
  if (config.self.sandbox == "off") return {};
  return confine_calls(tracing ? Calls::kTracing : Calls::kReading,
                       config.self.sandbox == "log" ? OnRefusal::kLog : OnRefusal::kFail, refused);
}

}  // namespace wirespan
