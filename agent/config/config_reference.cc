// Prints docs/configuration.md.
#include <cstdio>

#include "agent/config/report.h"

int main() {
  return std::fputs(wirespan::config_reference().c_str(), stdout) < 0 ? 1 : 0;
}
