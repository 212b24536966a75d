// What the test of a protocol tells recordings_suite.cc, which is compiled into it.
#pragma once

#include <cstddef>

#include "agent/protocols/testing/recording.h"

namespace wirespan::protocols::testing {

// Its folder in agent/protocols; the recordings lie in testdata there.
[[nodiscard]] const char* recorded_protocol();
// Of each turn, the first `limit` bytes are enough.
[[nodiscard]] bool heads_fit(const Recording& calls, std::size_t limit);

}  // namespace wirespan::protocols::testing
