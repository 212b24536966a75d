#include "agent/protocols/piece_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace wirespan::protocols {
namespace {

Piece piece(std::uint64_t position, std::uint64_t length, std::uint64_t time, bool gap = false) {
  Piece p;
  p.position = position;
  p.length = length;
  p.touch.time = {time};
  p.gap = gap;
  return p;
}

TEST(PieceQueue, JoinsCallsUpToTheGap) {
  PieceQueue queue;
  queue.push(piece(0, 3, 1), as_bytes("abc"));
  queue.push(piece(3, 2, 2), as_bytes("de"));
  EXPECT_EQ(as_text(queue.run().bytes), "abcde");
  EXPECT_FALSE(queue.run().ends_in_gap);
  queue.push(piece(5, 10, 3, true), {});
  queue.push(piece(15, 1, 4), as_bytes("z"));
  EXPECT_EQ(as_text(queue.run().bytes), "abcde");
  EXPECT_TRUE(queue.run().ends_in_gap);
  EXPECT_EQ(queue.run().pieces.size(), 2U);

  queue.pop(4);
  EXPECT_EQ(queue.position(), 4U);
  EXPECT_FALSE(queue.at_piece_start());
  EXPECT_EQ(as_text(queue.run().bytes), "e");
  EXPECT_EQ(as_text(queue.front_bytes()), "e");
  queue.pop(1);
  EXPECT_TRUE(queue.front().gap);
  EXPECT_TRUE(queue.run().bytes.empty());
  EXPECT_EQ(queue.front_left(), 10U);
  queue.pop(4);
  EXPECT_EQ(queue.front_left(), 6U);
  queue.pop_piece();
  EXPECT_EQ(as_text(queue.run().bytes), "z");
  queue.pop(100);
  EXPECT_TRUE(queue.empty());
}

TEST(PieceQueue, BorrowedBytesAreNotCopiedUntilKept) {
  PieceQueue queue;
  std::string bytes = "abc";
  queue.push(piece(0, 3, 1), as_bytes(bytes));
  EXPECT_EQ(queue.run().bytes.data(), as_bytes(bytes).data());
  EXPECT_EQ(queue.kept_bytes(), 0U);
  queue.pop(1);
  queue.keep();
  bytes = "xxx";
  EXPECT_EQ(as_text(queue.run().bytes), "bc");
  EXPECT_EQ(queue.kept_bytes(), 2U);
}

TEST(PieceQueue, SameCallStaysOnePieceAndManyAreMerged) {
  PieceQueue queue;
  queue.push(piece(0, 3, 1), as_bytes("abc"));
  queue.push(piece(3, 3, 1), as_bytes("def"));
  EXPECT_EQ(queue.run().pieces.size(), 1U);
  for (std::uint64_t i = 6; i < 5000; ++i) queue.push(piece(i, 1, i), as_bytes("x"));
  EXPECT_LE(queue.run().pieces.size(), 128U);
  EXPECT_EQ(queue.run().bytes.size(), 5000U);
  EXPECT_LT(queue.cost(), 5000U + 200 * sizeof(Piece));
}

// Against the plain way to do it.
TEST(PieceQueue, RandomUseKeepsEveryByte) {
  std::mt19937 random(3);
  PieceQueue queue;
  std::string expected;  // what is in the queue; gaps are '\0'
  std::uint64_t end = 0;
  for (std::uint64_t round = 0; round < 20000; ++round) {
    const std::size_t size = 1 + random() % 50;
    const bool gap = random() % 5 == 0;
    const std::string bytes = gap ? std::string(size, '\0') : std::string(size, static_cast<char>('a' + random() % 26));
    queue.push(piece(end, size, random() % 3, gap), gap ? Bytes() : as_bytes(bytes));
    expected += bytes;
    end += size;
    while (!queue.empty() && random() % 3 != 0) {
      const PieceQueue::Run run = queue.run();
      ASSERT_EQ(as_text(run.bytes), expected.substr(0, run.bytes.size()));
      ASSERT_EQ(queue.position(), end - expected.size());
      if (!run.pieces.empty()) {
        ASSERT_EQ(run.bytes.size() < expected.size(), run.ends_in_gap);
      }
      const std::size_t count = std::min<std::size_t>(random() % 80, expected.size());
      queue.pop(count);
      expected.erase(0, count);
      ASSERT_EQ(queue.empty(), expected.empty());
    }
    queue.keep();
    ASSERT_LE(queue.kept_bytes(), expected.size());
  }
}

}  // namespace
}  // namespace wirespan::protocols
