// Recordings: raw events in a file, so that everything behind the kernel can be run again without one.
//
//   file    = "wirespan" version:u16 reserved:u16 record*
//   record  = size:u32 type:u16 body[size - 2]
//
// Little-endian. Fields are only ever added at the end of a body: a reader takes what it knows and ignores the rest,
// and gives a default to what an older writer did not have. Unknown types are skipped. The version changes only if that
// no longer suffices.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "model/event.h"
#include "model/host.h"

namespace wirespan::recording {

constexpr std::string_view kMagic = "wirespan";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFileHeader = 12;
constexpr std::uint32_t kMostRecord = 8U << 20U;  // larger is damage, not data

enum class Type : std::uint16_t {
  kClock = 1,   // offset:i64, wall minus boot time in ns, from here on
  kConnection,  // a connection as it is known from here on; named by its id
  kOpened,
  kData,
  kClosed,
  kWake,
  kForked,
  kProcess,
  kProcessExited,
  kThreadExited,
  kLost,
  kTick,
  kHost,  // facts of the host the events are of; once, before the first of them
  kHandover,
  kBirths,
  kWindow,
  kUnanswered,
  kCounted,
  kMissed = 30,
  kLineage,
  kAsync,
  kLeads,
  kHolds,
};
constexpr Type kLastType = Type::kHolds;

// Appends one record.
void encode_clock(std::string& out, std::int64_t offset_ns);
void encode_host(std::string& out, const HostFacts& host);
void encode_connection(std::string& out, const Connection& conn);
void encode_event(std::string& out, const Event& event);

// Body of a record to its value. False: damaged. Connections are named by id in `id`; the caller knows them.
[[nodiscard]] bool decode_clock(Bytes body, std::int64_t& offset_ns);
[[nodiscard]] bool decode_host(Bytes body, HostFacts& host);
[[nodiscard]] bool decode_connection(Bytes body, Connection& conn);
// Sets `event` (its conn, where it has one, is left null) and, for those, `id`. Data::captured points into `body`.
[[nodiscard]] bool decode_event(Type type, Bytes body, Event& event, ConnId& id);

}  // namespace wirespan::recording
