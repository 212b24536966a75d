// wirespan trace and wirespan run.
#pragma once

#include "agent/commands/flags.h"
#include "agent/commands/top.h"

namespace wirespan::commands {

// Exit status: the traced command's when there was one, 0 after an orderly stop, 1 when tracing could not start.
int trace(const Flags& flags);
// The daemon: the same, from a file, with reload.
int run(const Flags& flags);

// Raw events of the selected processes to a file, until interrupted.
int record(const Flags& flags, const std::string& file);
// The spans of a recording; needs no rights.
int replay(const Flags& flags, const std::string& file);
// Traces the selected processes and shows live figures per service instead of spans.
int watch(const Flags& flags, const TopFlags& top);

}  // namespace wirespan::commands
