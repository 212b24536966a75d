#include "agent/capture/returns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace wirespan {
namespace {

using Code = std::vector<std::uint8_t>;
using Addresses = std::vector<std::uint64_t>;

constexpr std::uint64_t kStart = 0x1000;

Result<Addresses> of(const Code& code, std::uint64_t size = 0) {
  return returns_of(kStart, size == 0 ? code.size() : size, [&](std::uint64_t address, std::size_t most) {
    if (address < kStart || address >= kStart + code.size()) return Code();
    const auto from = code.begin() + static_cast<std::ptrdiff_t>(address - kStart);
    return Code(from,
                from + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(most, kStart + code.size() - address)));
  });
}
std::string why(const Code& code, std::uint64_t size = 0) {
  const auto found = of(code, size);
  return found ? "" : found.error().what;
}

TEST(Returns, OfEveryWay) {
  // endbr64; push rbx; sub rsp,16; test eax,eax; je +6; add rsp,16; pop rbx; ret; add rsp,16; pop rbx; ret
  EXPECT_EQ(*of({0xf3, 0x0f, 0x1e, 0xfa, 0x53, 0x48, 0x83, 0xec, 0x10, 0x85, 0xc0, 0x74, 0x06,
                 0x48, 0x83, 0xc4, 0x10, 0x5b, 0xc3, 0x48, 0x83, 0xc4, 0x10, 0x5b, 0xc3}),
            (Addresses{kStart + 18, kStart + 24}));
  // push rbp; mov rbp,rsp; push rbx; call (thread-local, padded); lea rsp,[rbp-8]; pop rbx; pop rbp; ret
  EXPECT_EQ(
      *of({0x55, 0x48, 0x89, 0xe5, 0x53, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x65, 0xf8, 0x5b, 0x5d, 0xc3}),
      (Addresses{kStart + 19}));
  // push rbp; mov rbp,rsp; sub rsp,32; leave; ret
  EXPECT_EQ(*of({0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xc9, 0xc3}), (Addresses{kStart + 9}));
  // A byte that looks like one, within: mov eax,0xc3; ret
  EXPECT_EQ(*of({0xb8, 0xc3, 0, 0, 0, 0xc3}), (Addresses{kStart + 5}));
}

TEST(Returns, OfTheFunctionItGoesOnIn) {
  // push rsi; je (seldom: pop; ret); pop rcx; jmp (pop is of its own: push; pop; ret)
  const Code code{0x56, 0x74, 0x06, 0x59, 0xe9, 0x02, 0, 0, 0, 0x59, 0xc3, 0x53, 0x5b, 0xc3};
  EXPECT_EQ(*of(code, 9), (Addresses{kStart + 10, kStart + 13}));
  // Sometimes only: je +1; ret; jmp
  EXPECT_EQ(why({0x74, 0x01, 0xc3, 0xe9, 0x02, 0, 0, 0, 0x90, 0x90, 0xc3}, 8), "it ends in other functions");
  // One after the other for ever: jmp to itself, as it were.
  EXPECT_FALSE(of({0xe9, 0x00, 0, 0, 0, 0xe9, 0xf6, 0xff, 0xff, 0xff}, 5));
}

TEST(Returns, OfOneFunctionByItself) {
  // je +5; jmp far; call near; ret
  const Code code{0x74, 0x05, 0xe9, 0xf0, 0x0f, 0, 0, 0xe8, 0xf0, 0x01, 0, 0, 0xc3};
  const auto ways = ways_out_of(kStart, code.size(), [&](std::uint64_t address, std::size_t most) {
    if (address < kStart || address >= kStart + code.size()) return Code();
    const auto from = code.begin() + static_cast<std::ptrdiff_t>(address - kStart);
    return Code(from,
                from + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(most, kStart + code.size() - address)));
  });
  ASSERT_TRUE(ways) << ways.error().what;
  EXPECT_EQ((*ways).returns, (Addresses{kStart + 12}));
  EXPECT_EQ((*ways).exits, (Addresses{kStart + 7 + 0xff0}));
  EXPECT_EQ((*ways).calls, (Addresses{kStart + 12 + 0x1f0}));
  EXPECT_EQ((*ways).code, (Addresses{kStart, kStart + 2, kStart + 7, kStart + 12}));
}

TEST(Returns, NothingIsGuessed) {
  EXPECT_EQ(why({0x53, 0xc3}), "it returns with a stack that is not understood");
  EXPECT_EQ(why({0xc2, 0x08, 0x00}), "it returns with a stack that is not understood");
  EXPECT_EQ(why({0xff, 0xe0}), "it jumps to where a register says");
  EXPECT_EQ(why({0x48, 0x89, 0xc4, 0xc3}), "it moves its stack in a way that is not understood");        // mov rsp,rax
  EXPECT_EQ(why({0x48, 0x83, 0xe4, 0xf0, 0xc3}), "it moves its stack in a way that is not understood");  // and rsp,-16
  EXPECT_EQ(why({0xc9, 0xc3}), "it moves its stack in a way that is not understood");                    // leave
  EXPECT_EQ(why({0x74, 0x01, 0x53, 0xeb, 0xfe}), "its stack differs by the way it takes");  // je; push; jmp
  EXPECT_EQ(why({0x74, 0x01, 0xb8, 0xc3, 0, 0, 0, 0xc3}), "its instructions overlap");
  EXPECT_EQ(why({0x06}), "it has an unknown instruction");
  EXPECT_EQ(why({0x90, 0x48}), "it has an unknown instruction");
  EXPECT_EQ(why({}), "it has an unknown instruction");
  EXPECT_EQ(why({0x0f, 0x0b}), "it never returns");
  EXPECT_EQ(why(Code(10'000, 0x90)), "it is too long");
}

}  // namespace
}  // namespace wirespan
