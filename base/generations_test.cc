#include "base/generations.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

TEST(Generations, WhatIsUsedIsKept) {
  Generations<int, int> table;
  table.use(1) = 10;
  table.use(2) = 20;
  EXPECT_FALSE(table.age()) << "nothing was forgotten yet";
  EXPECT_EQ(table.use(1), 10) << "old, and young again";
  EXPECT_TRUE(table.age());
  EXPECT_NE(table.peek(1), nullptr);
  EXPECT_EQ(table.peek(2), nullptr);
}

TEST(Generations, ALookIsNoUse) {
  Generations<int, int> table;
  table.use(1) = 10;
  table.age();
  EXPECT_EQ(*table.peek(1), 10);
  EXPECT_EQ(table.young(), 0U);
  table.age();
  EXPECT_EQ(table.peek(1), nullptr);
}

TEST(Generations, AtTheLimitTheOldAreForgotten) {
  Generations<int, int> table;
  for (int i = 0; i < 100; ++i) table.use(i, 10) = i;
  int held = 0;
  table.each([&](int) { ++held; });
  EXPECT_EQ(held, 20);
  EXPECT_EQ(*table.peek(99), 99);
  EXPECT_EQ(table.peek(79), nullptr);
  EXPECT_EQ(table.use(85, 10), 85) << "full, and what is asked for is old: it must not be forgotten before it is found";
}

}  // namespace
}  // namespace wirespan
