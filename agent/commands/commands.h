// One file per command of `wirespan`; main.cc only dispatches.
#pragma once

#include <iosfwd>
#include <string>

namespace wirespan::commands {

int explain_command(const std::string& wanted, const std::string& file, std::ostream& out, std::ostream& err);

// Exit status 0 when tracing can work.
int doctor_command(bool json, std::ostream& out);

}  // namespace wirespan::commands
