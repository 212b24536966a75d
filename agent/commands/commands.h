// One file per command of `wirespan`; main.cc only dispatches.
#pragma once

#include <iosfwd>
#include <string>

namespace wirespan::commands {

int explain_command(const std::string& wanted, const std::string& file, std::ostream& out, std::ostream& err);

}  // namespace wirespan::commands
