// What is understood of a tokio without one.
#include "agent/capture/tokio_executable.h"

#include <gtest/gtest.h>

#include "agent/capture/tokio_code.h"

namespace wirespan {
namespace {

using Code = std::vector<std::uint8_t>;

constexpr std::int32_t kContext = -0x130;
constexpr std::int32_t kEnd = kContext + 80;

// TaskIdGuard::enter of tokio 1.45: push r14; push rbx; push rax; mov rbx,rdi; mov rax,fs:0; lea rax,[rax-0x130];
// movzx ecx,[rax+0x48]; cmp ecx,1; je +36; cmp ecx,2; jne +4; xor ecx,ecx; jmp +35; lea rsi,[rip-...]; mov rdi,rax;
// mov r14,rax; call [rip+...]; mov rax,r14; mov byte [r14+0x48],1; mov rcx,[rax+0x30]; mov [rax+0x30],rbx; ...; ret
const Code kEnter{0x41, 0x56, 0x53, 0x50, 0x48, 0x89, 0xfb, 0x64, 0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x00,
                  0x00, 0x48, 0x8d, 0x80, 0xd0, 0xfe, 0xff, 0xff, 0x0f, 0xb6, 0x48, 0x48, 0x83, 0xf9, 0x01,
                  0x74, 0x24, 0x83, 0xf9, 0x02, 0x75, 0x04, 0x31, 0xc9, 0xeb, 0x23, 0x48, 0x8d, 0x35, 0x30,
                  0x63, 0xff, 0xff, 0x48, 0x89, 0xc7, 0x49, 0x89, 0xc6, 0xff, 0x15, 0x94, 0x86, 0x05, 0x00,
                  0x4c, 0x89, 0xf0, 0x41, 0xc6, 0x46, 0x48, 0x01, 0x48, 0x8b, 0x48, 0x30, 0x48, 0x89, 0x58,
                  0x30, 0x48, 0x89, 0xc8, 0x48, 0x83, 0xc4, 0x08, 0x5b, 0x41, 0x5e, 0xc3};

TEST(TokioCode, TellsWhichWordIsExchanged) {
  const auto word = exchanged_word(kEnter, kContext, kEnd);
  ASSERT_TRUE(word);
  EXPECT_EQ(word->at, kContext + 0x30);
  EXPECT_FALSE(word->tagged);
  EXPECT_FALSE(exchanged_word(kEnter, kEnd, kEnd + 80)) << "of another's thread-locals";
}

TEST(TokioCode, AWordExchangedWhereTwoWaysMeet) {
  // set_current_task_id of tokio 1.54: push rbx; mov rbx,rdi; mov rax,fs:0; lea rax,[rax-0x130]; movzx ecx,[rax+0x48];
  // cmp ecx,1; je +25; cmp ecx,2; jne +7; xor ecx,ecx; mov rax,rcx; pop rbx; ret; mov rdi,rax; call ...; test rax,rax;
  // je -20; mov rcx,[rax+0x30]; mov [rax+0x30],rbx; mov rax,rcx; pop rbx; ret
  const Code code{0x53, 0x48, 0x89, 0xfb, 0x64, 0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x00, 0x00, 0x48, 0x8d, 0x80, 0xd0,
                  0xfe, 0xff, 0xff, 0x0f, 0xb6, 0x48, 0x48, 0x83, 0xf9, 0x01, 0x74, 0x19, 0x83, 0xf9, 0x02, 0x75, 0x07,
                  0x31, 0xc9, 0x48, 0x89, 0xc8, 0x5b, 0xc3, 0x48, 0x89, 0xc7, 0xe8, 0x4f, 0x75, 0xff, 0xff, 0x48, 0x85,
                  0xc0, 0x74, 0xec, 0x48, 0x8b, 0x48, 0x30, 0x48, 0x89, 0x58, 0x30, 0x48, 0x89, 0xc8, 0x5b, 0xc3};
  const auto word = exchanged_word(code, kContext, kEnd);
  ASSERT_TRUE(word);
  EXPECT_EQ(word->at, kContext + 0x30);
  EXPECT_FALSE(word->tagged);
}

TEST(TokioCode, AnOptionOfANumberThatMayBeZeroHasATag) {
  // mov rax,fs:[-0x100]; mov rcx,fs:[-0xf8]; mov fs:[-0x100],rdi; mov fs:[-0xf8],rsi; ret
  const Code two{0x64, 0x48, 0x8b, 0x04, 0x25, 0x00, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x0c,
                 0x25, 0x08, 0xff, 0xff, 0xff, 0x64, 0x48, 0x89, 0x3c, 0x25, 0x00, 0xff, 0xff,
                 0xff, 0x64, 0x48, 0x89, 0x34, 0x25, 0x08, 0xff, 0xff, 0xff, 0xc3};
  const auto word = exchanged_word(two, kContext, kEnd);
  ASSERT_TRUE(word);
  EXPECT_EQ(word->at, -0xf8);
  EXPECT_TRUE(word->tagged);
}

TEST(TokioCode, WhatIsNotCertainIsNotTold) {
  EXPECT_FALSE(exchanged_word({}, kContext, kEnd));
  for (std::size_t size = 0; size < kEnter.size() - 16; ++size)
    EXPECT_FALSE(
        exchanged_word(Code(kEnter.begin(), kEnter.begin() + static_cast<std::ptrdiff_t>(size)), kContext, kEnd));
  // Set without being read: mov fs:[-0x100],rdi; ret
  EXPECT_FALSE(exchanged_word({0x64, 0x48, 0x89, 0x3c, 0x25, 0x00, 0xff, 0xff, 0xff, 0xc3}, kContext, kEnd));
}

TEST(TokioTable, IdIsBehindTheScheduler) {
  // schedule, dealloc, try_read_output, drop_join_handle_slow, drop_abort_handle, shutdown, trailer, scheduler, id
  EXPECT_EQ(id_offset_in_table({0x55d0000a7ed0, 0x55d0000a7c10, 0x55d0000a7b70, 0x55d0000a7bd0, 0x55d0000a7b90,
                                0x55d0000a7f10, 1096, 32, 40, 0x55d0000a7bf0}),
            72);
  EXPECT_EQ(id_offset_in_table({0x55d0000a7ed0, 32, 40, 1096}), 24) << "in another order";
  EXPECT_EQ(id_offset_in_table({0x55d0000a7ed0, 0x55d0000a7c10, 32, 40}), 0);
  EXPECT_EQ(id_offset_in_table({0x55d0000a7ed0, 33, 41, 1097}), 0);
  EXPECT_EQ(id_offset_in_table({}), 0);
}

ws_tokio_guess guess(std::uint64_t samples) {
  ws_tokio_guess out{};
  out.samples = samples;
  return out;
}

TEST(TokioGuess, TheOneWordThatKeepsNamingTasks) {
  ws_tokio_process process{};
  process.context = kContext;
  process.words = 10;
  ws_tokio_guess seen = guess(1000);
  EXPECT_FALSE(learn_current(seen, process));
  seen.word[6].changes = 8;
  EXPECT_FALSE(learn_current(seen, process)) << "too few";
  seen.word[6].changes = 400;
  seen.word[2].changes = 60;
  EXPECT_FALSE(learn_current(seen, process)) << "another does so as well";
  seen.word[2].changes = 2;
  ASSERT_TRUE(learn_current(seen, process));
  EXPECT_EQ(process.current, kContext + 48);
  EXPECT_EQ(process.tagged, 0);
  seen.word[5].ones = 700;
  seen.word[5].zeros = 295;
  ASSERT_TRUE(learn_current(seen, process));
  EXPECT_EQ(process.tagged, 1);
  seen.word[5].ones = 20;
  ASSERT_TRUE(learn_current(seen, process));
  EXPECT_EQ(process.tagged, 0) << "it is often something else";
}

TEST(TokioExecutable, NoneInOtherPrograms) {
  const auto read = read_tokio_executable("/proc/self/exe");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ENOENT);
  EXPECT_FALSE(read_tokio_executable("/etc/passwd"));
}

}  // namespace
}  // namespace wirespan
