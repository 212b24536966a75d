// What a Go executable's file tells: where its runtime keeps things and where functions we probe begin. Reads ELF
// headers, .gopclntab and, where it was not stripped, .symtab and DWARF; trusts no length in them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/capture/go_offsets.h"
#include "base/result.h"

namespace wirespan {

// A function one goroutine gives work to another in, or takes it in, and the BPF program for it (bpf/hooks/go.bpf.c).
struct GoFunction {
  const char* name;
  const char* program;
  enum class Use : std::uint8_t {
    kAlways,     // once per request, once per connection
    kOldClient,  // while connections older than the probes are in use
    kChannel,    // while others make calls than who reads requests and its children: all channel operations
  } use;
};
inline constexpr std::array kGoFunctions{
    GoFunction{"net/http.(*persistConn).roundTrip", "go_calls", GoFunction::Use::kAlways},
    GoFunction{"net/http.(*persistConn).writeLoop", "go_writes", GoFunction::Use::kAlways},
    GoFunction{"net/http.persistConnWriter.Write", "go_writes", GoFunction::Use::kOldClient},
    GoFunction{"runtime.chansend1", "go_sends", GoFunction::Use::kChannel},
    GoFunction{"runtime.chanrecv1", "go_receives", GoFunction::Use::kChannel},
    GoFunction{"runtime.chanrecv2", "go_receives", GoFunction::Use::kChannel},
    GoFunction{"runtime.selectnbsend", "go_tries_to_send", GoFunction::Use::kChannel},
    GoFunction{"runtime.selectnbrecv", "go_tries_to_receive", GoFunction::Use::kChannel},
    GoFunction{"runtime.selectgo", "go_selects", GoFunction::Use::kChannel},
    GoFunction{"runtime.newproc", "go_begins", GoFunction::Use::kChannel},
};

// Packages whose channels hand over what is followed otherwise, or nothing that is work: a client's requests and
// responses, connections of a pool. Functions of a package lie together.
inline constexpr std::array<std::string_view, 5> kGoLibraries{"net/http.", "database/sql.", "golang.org/x/net/http2.",
                                                              "google.golang.org/grpc.", "google.golang.org/grpc/"};
// The same of packages that do little with channels.
inline constexpr std::array<std::string_view, 10> kGoSmallLibraries{
    "runtime.", "internal/", "context.", "time.", "io.", "net.", "os.", "os/", "crypto/", "sync."};

struct GoExecutable {
  std::string version;
  GoOffsets offsets;
  std::int32_t g = 0;      // amd64: of g from the thread pointer; arm64 keeps it in a register, 1 then
  std::uint64_t allp = 0;  // address of runtime.allp before relocation, 0: not known (stripped)
  struct Segment {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
  };
  std::vector<Segment> data;  // writable; in a stripped executable allp is somewhere there
  std::uint64_t base = 0;     // address of the file's first page before relocation
  bool relocated = false;     // position-independent: addresses are from where it is loaded
  // By row of kGoFunctions: where in the file to put probes, none: the executable has no such function. Of channels:
  // where other code than those libraries calls it; or its entry, where there are too many of those (GoCalls::kMost).
  std::array<std::vector<std::uint64_t>, kGoFunctions.size()> probes{};
  Segment entries;                 // code in which channel operations are probed at their entries
  std::vector<Segment> libraries;  // code of kGoLibraries, the largest pieces
};

// Error.what says why not, for people: an unknown release, thread-local storage nobody can tell, a damaged file.
[[nodiscard]] Result<GoExecutable> read_go_executable(const std::string& path, const std::string& version);

// Bytes from a function's entry to the first instruction behind its stack check, at which arguments are still where
// the caller put them; that is where a stack that had to grow does not come by twice. -1: not an entry we know.
[[nodiscard]] int behind_stack_check(std::span<const std::uint8_t> code, bool arm64);

}  // namespace wirespan
