#include "agent/capture/go_executable.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "agent/capture/go_calls.h"
#include "agent/capture/go_offsets.h"
#include "agent/capture/go_pclntab.h"

namespace wirespan {
namespace {

TEST(GoOffsets, ReleasesOfTheTableAndNoOthers) {
  ASSERT_TRUE(go_offsets_of("go1.22.1"));
  EXPECT_EQ(go_offsets_of("go1.22.1")->goid, 152);
  EXPECT_EQ(go_offsets_of("go1.26.8")->parent, 280);
  EXPECT_EQ(go_offsets_of("go1.23.0 X:rangefunc")->goid, 160);
  EXPECT_EQ(go_offsets_of("go1.26"), go_offsets_of("go1.26.8"));
  for (const char* unknown :
       {"", "go", "go1.20.3", "go1.99.1", "go1.26rc1", "devel go1.27-abcdef", "go2.22.1", "go1."}) {
    EXPECT_FALSE(go_offsets_of(unknown)) << unknown;
  }
}

struct Code {
  const char* what;
  std::vector<std::uint8_t> bytes;
  int skip;
};

TEST(GoEntry, BehindTheStackCheck) {
  const std::array cases{
      Code{"small frame", {0x49, 0x3b, 0x66, 0x10, 0x76, 0x2f, 0x55, 0x48}, 6},
      Code{"small frame, far jump", {0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 0, 0, 0x55}, 10},
      Code{"middle frame", {0x4c, 0x8d, 0x64, 0x24, 0x98, 0x4d, 0x3b, 0x66, 0x10, 0x76, 0x2f, 0x55}, 11},
      Code{"large frame",
           {0x4c, 0x8d, 0xa4, 0x24, 0x58, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x68, 0x0e, 0, 0, 0x55},
           18},
      Code{"no check", {0x55, 0x48, 0x89, 0xe5}, 0},
      Code{"not Go", {0xf3, 0x0f, 0x1e, 0xfa, 0x55}, -1},
      Code{"check without frame", {0x49, 0x3b, 0x66, 0x10, 0x76, 0x2f, 0x48}, -1},
      Code{"cut", {0x49, 0x3b, 0x66, 0x10, 0x76}, -1},
      Code{"nothing", {}, -1},
  };
  for (const Code& c : cases) EXPECT_EQ(behind_stack_check(c.bytes, false), c.skip) << c.what;
  // ldr x16, [x28, #16]; cmp sp, x16; b.ls; str x30, [sp, #-32]!
  const std::vector<std::uint8_t> arm{0x90, 0x0b, 0x40, 0xf9, 0xff, 0x63, 0x30, 0xeb,
                                      0x49, 0x02, 0x00, 0x54, 0xfe, 0x0f, 0x1e, 0xf8};
  EXPECT_EQ(behind_stack_check(arm, true), 12);
  EXPECT_EQ(behind_stack_check(std::span(arm).first(8), true), -1);
}

// call rel32 of `to`, the call being at `at`.
std::vector<std::uint8_t> call(std::uint64_t at, std::uint64_t to) {
  const std::uint64_t distance = to - at - 5;
  return {0xe8, static_cast<std::uint8_t>(distance), static_cast<std::uint8_t>(distance >> 8U),
          static_cast<std::uint8_t>(distance >> 16U), static_cast<std::uint8_t>(distance >> 24U)};
}
void append(std::vector<std::uint8_t>& code, const std::vector<std::uint8_t>& more) {
  code.insert(code.end(), more.begin(), more.end());
}

TEST(GoCalls, OfTheFunctionsThatAreWanted) {
  constexpr std::uint64_t kHere = 0x401000;
  std::vector<std::uint8_t> code{0x55, 0x48, 0x89, 0xe5};  // push %rbp; mov %rsp,%rbp
  append(code, call(kHere + 4, 0x408000));
  append(code, call(kHere + 9, 0x40a000));
  append(code, call(kHere + 14, 0x400000));
  code.push_back(0xe8);  // cut
  GoCalls calls({0x400000, 0, 0x408000}, false);
  calls.look_at(code, kHere);
  calls.look_at({}, kHere);
  const auto found = std::move(calls).take();
  ASSERT_TRUE(found);
  const std::vector<std::vector<std::uint64_t>> expected{{kHere + 14}, {}, {kHere + 4}};
  EXPECT_EQ(*found, expected);
}

TEST(GoCalls, WhatOnlyLooksLikeACallIsNotProbed) {
  constexpr std::uint64_t kHere = 0x401000;
  std::vector<std::uint8_t> code{0x48, 0xb8};  // movabs $..., %rax, in which the bytes of a call lie
  append(code, call(kHere + 2, 0x408000));
  append(code, {0, 0, 0, 0xc3});
  GoCalls calls({0x408000}, false);
  calls.look_at(code, kHere);
  EXPECT_FALSE(std::move(calls).take());
}

TEST(GoCalls, TooManyAreTooMany) {
  GoCalls calls({0x408000}, false);
  for (std::uint64_t i = 0; i <= GoCalls::kMost; ++i)
    calls.look_at(call(0x401000 + 16 * i, 0x408000), 0x401000 + 16 * i);
  EXPECT_FALSE(std::move(calls).take());
}

TEST(GoCalls, OnArm64) {
  // nop; bl .+0x100; bl .-8
  const std::vector<std::uint8_t> code{0x1f, 0x20, 0x03, 0xd5, 0x40, 0x00, 0x00, 0x94, 0xfe, 0xff, 0xff, 0x97};
  GoCalls calls({0x401104, 0x401000}, true);
  calls.look_at(code, 0x401000);
  const auto found = std::move(calls).take();
  ASSERT_TRUE(found);
  const std::vector<std::vector<std::uint64_t>> expected{{0x401004}, {0x401008}};
  EXPECT_EQ(*found, expected);
}

// A table with two functions, as the linker lays it out.
std::string table() {
  std::string out;
  const auto put = [&out](std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  };
  put(0xfffffff1, 4);
  put(0, 2);
  put(1, 1);
  put(8, 1);
  constexpr std::uint64_t kNames = 72;
  const std::string names("main.main\0net/http.(*persistConn).roundTrip\0", 45);
  const std::uint64_t functions = kNames + names.size();
  for (const std::uint64_t field : {std::uint64_t{2}, std::uint64_t{0}, std::uint64_t{0x401000}, kNames,
                                    std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}, functions}) {
    put(field, 8);
  }
  out += names;
  put(0x10, 4), put(20, 4), put(0x40, 4), put(28, 4), put(0x80, 4);  // functab, and where the text ends
  put(0x10, 4), put(0, 4);                                           // _func of main.main
  put(0x40, 4), put(10, 4);
  return out;
}

TEST(GoPclntab, NamesAndOffsets) {
  const std::string bytes = table();
  const auto parsed = GoPclntab::parse(as_bytes(bytes));
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->size(), 2U);
  EXPECT_EQ(parsed->text_start(), 0x401000U);
  EXPECT_EQ(parsed->at(0)->name, "main.main");
  EXPECT_EQ(parsed->at(1)->name, "net/http.(*persistConn).roundTrip");
  EXPECT_EQ(parsed->at(1)->offset, 0x40U);
  EXPECT_FALSE(parsed->at(2));
}

TEST(GoPclntab, DamageIsNotThereRatherThanRead) {
  const std::string good = table();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto parsed = GoPclntab::parse(as_bytes(std::string_view(good).substr(0, size)));
    for (std::size_t i = 0; parsed && i < 3; ++i) static_cast<void>(parsed->at(i));
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(0xff);
    const auto parsed = GoPclntab::parse(as_bytes(bad));
    for (std::size_t i = 0; parsed && i < 3; ++i) static_cast<void>(parsed->at(i));
  }
  std::string many = good;
  many[15] = 0x7f;
  EXPECT_FALSE(GoPclntab::parse(as_bytes(many))) << "more functions than bytes";
}

}  // namespace
}  // namespace wirespan
