// Where functions are probed, by code as compilers write it.
#include "agent/capture/probe_site.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

using Code = std::vector<std::uint8_t>;

TEST(ProbeSite, ThePushAFunctionBeginsWith) {
  EXPECT_EQ(probe_site({0x53, 0x48, 0x89, 0xfb, 0xe8, 0, 0, 0, 0}, 1), 0U);  // push rbx; mov rbx,rdi; call
  // endbr64; push rbp
  EXPECT_EQ(probe_site({0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5}, 6), 4U);
  // sub rsp,8; push r12
  EXPECT_EQ(probe_site({0x48, 0x83, 0xec, 0x08, 0x41, 0x54}, 6), 4U);
}

// wake_by_ref of tokio 1.45: sub rsp,24; mov rax,[rdi]; lea rcx,[rsp+8]; lea rdx,[rsp+16]; nop; test al,6; je
const Code kWakeByRef{0x48, 0x83, 0xec, 0x18, 0x48, 0x8b, 0x07, 0x48, 0x8d, 0x4c, 0x24, 0x08,
                      0x48, 0x8d, 0x54, 0x24, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f,
                      0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa8, 0x06, 0x74, 0x1c};

TEST(ProbeSite, TheFirstBranch) {
  EXPECT_EQ(probe_site(kWakeByRef, 1), 33U);
  EXPECT_EQ(probe_site(kWakeByRef, 2), 33U);
  EXPECT_EQ(probe_site(kWakeByRef, 3), 0U) << "the third argument is overwritten before";
  // cmp rsp,[r14+16]; jbe, with a long distance: a goroutine's stack is looked at first
  EXPECT_EQ(probe_site({0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x10, 0x02, 0x00, 0x00}, 6), 4U);
}

TEST(ProbeSite, NotBehindWhereCallsPart) {
  EXPECT_EQ(probe_site({0x48, 0x89, 0xf8, 0xff, 0xe0, 0x53}, 1), 0U);        // mov rax,rdi; jmp rax; push rbx
  EXPECT_EQ(probe_site({0x48, 0x89, 0xf8, 0xc3, 0x53}, 1), 0U);              // mov rax,rdi; ret; push rbx
  EXPECT_EQ(probe_site({0x48, 0x89, 0xfb, 0xe8, 0, 0, 0, 0, 0x53}, 1), 0U);  // mov rbx,rdi; call; push rbx
  EXPECT_EQ(probe_site({0x48, 0x89, 0xf8, 0xe3, 0x02, 0x53}, 1), 0U);        // mov rax,rdi; jrcxz; push rbx
}

TEST(ProbeSite, NotWhereAnArgumentIsGone) {
  EXPECT_EQ(probe_site({0x31, 0xff, 0x53}, 1), 0U);              // xor edi,edi; push rbx
  EXPECT_EQ(probe_site({0x48, 0x8d, 0x7f, 0x08, 0x53}, 1), 0U);  // lea rdi,[rdi+8]; push rbx
  EXPECT_EQ(probe_site({0x48, 0x87, 0xfe, 0x53}, 2), 0U);        // xchg rsi,rdi; push rbx
  EXPECT_EQ(probe_site({0x48, 0x89, 0xd6, 0x53}, 1), 3U);        // mov rsi,rdx; push rbx
}

TEST(ProbeSite, WhatIsNotUnderstoodIsProbedAtItsEntry) {
  EXPECT_EQ(probe_site({}, 1), 0U);
  EXPECT_EQ(probe_site({0x48}, 1), 0U);
  EXPECT_EQ(probe_site({0x48, 0x83, 0xec, 0x18, 0x06, 0x53}, 1), 0U);  // sub rsp,24; none of amd64
  EXPECT_EQ(probe_site({0x48, 0x83, 0xec, 0x18, 0x66, 0x50}, 1), 0U);  // sub rsp,24; push ax: the kernel steps it
  for (std::size_t size = 0; size + 2 < kWakeByRef.size(); ++size)
    EXPECT_EQ(probe_site(Code(kWakeByRef.begin(), kWakeByRef.begin() + static_cast<std::ptrdiff_t>(size)), 1), 0U);
}

}  // namespace
}  // namespace wirespan
