// W3C Trace Context level 2 (https://www.w3.org/TR/trace-context-2/), 3.2 traceparent and 3.3 tracestate.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "correlator/propagation/propagation.h"

namespace wirespan {

inline constexpr std::string_view kTraceparent = "traceparent";
inline constexpr std::string_view kTracestate = "tracestate";

// One traceparent value. Versions above 00 are read as far as version 00 goes (3.2.3). Flags this version does not know
// are cleared, as whoever hands the context on must.
[[nodiscard]] std::optional<RemoteContext> parse_traceparent(std::string_view value);

// Both headers together: a second traceparent makes the context invalid, a malformed tracestate is dropped alone.
[[nodiscard]] std::optional<RemoteContext> extract_w3c(const CarriedHeaders& headers);

// Every tracestate header joined, in order, without empty members and optional white space; "" when there is none or
// any member is malformed. Where it is longer than 512 characters whole members go: first those over 128, then the
// last.
//
// Keys follow tenant@system of level 1 (at most 241 and 14 characters). Level 2 lets "@" stand anywhere in a key, but
// its own test suite still refuses what level 1 refuses, and SDKs do as the suite does.
[[nodiscard]] std::string join_tracestate(const CarriedHeaders& headers);

// "00-<trace>-<span>-<flags>".
[[nodiscard]] std::string to_traceparent(const RemoteContext& context);

}  // namespace wirespan
