// Where a function of amd64 returns. For plain probes on its `ret` instructions: a return probe changes the stack of
// who is watched, and kills it where that is left for another (greenlets). A probe inside of an instruction would do
// the same, so that whatever is not understood for certain is an error. By libcapstone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"

namespace wirespan {

// At most so many bytes of code from the address; fewer, or none: there is no more.
using ReadCode = std::function<std::vector<std::uint8_t>(std::uint64_t address, std::size_t size)>;

// Addresses, sorted, never none. Follows every branch and keeps account of the stack: each way must leave it as it was.
// A function whose only way out, but for parts that lie elsewhere, is a jump goes on there (link-time optimisation
// makes callers jump there as well, past the function, so that its returns are theirs too). `size` is the symbol's, 0
// if unknown.
[[nodiscard]] Result<std::vector<std::uint64_t>> returns_of(std::uint64_t address, std::uint64_t size,
                                                            const ReadCode& read);

// The same of one function by itself: a jump to another one is a way out, not a part of it.
struct WaysOut {
  std::vector<std::uint64_t> returns;  // sorted
  std::vector<std::uint64_t> exits;    // functions it ends in
  std::vector<std::uint64_t> calls;    // that are told by address
  std::vector<std::uint64_t> code;     // its instructions, sorted
};
[[nodiscard]] Result<WaysOut> ways_out_of(std::uint64_t address, std::uint64_t size, const ReadCode& read);

}  // namespace wirespan
