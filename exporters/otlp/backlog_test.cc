#include "exporters/otlp/backlog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace wirespan {
namespace {

using Packing = Backlog::Packing;
constexpr Backlog::Time kLater = Backlog::Time::max();

// A gRPC frame of something that packs well, different for each number.
std::string frame(std::uint64_t number, std::size_t size = 5'000) {
  std::string out("\0\0\0\x13\x88", 5);
  while (out.size() < size) out += "span " + std::to_string(number) + " of the shop; ";
  out.resize(size);
  return out;
}

std::string noise(std::size_t size) {
  std::string out(size, 0);
  std::mt19937 random(1);
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string next(Backlog& backlog) {
  const auto body = backlog.body();
  if (!body) return "error: " + body.error().text();
  std::string out(*body);
  backlog.pop();
  return out;
}

TEST(Backlog, WhatGoesInComesOutInOrderByteForByte) {
  for (const Packing packing : {Packing::kNone, Packing::kZstd}) {
    Backlog backlog(1U << 20U, packing);
    const std::vector<std::string> bodies = {frame(1), noise(3'000), std::string(1, '\0'), "", frame(2, 900'000)};
    for (std::size_t i = 0; i < bodies.size(); ++i) EXPECT_EQ(backlog.push(bodies[i], i + 1, kLater), 0U);
    EXPECT_EQ(backlog.spans(), 15U);
    EXPECT_EQ(*backlog.body(), bodies[0]);
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      EXPECT_EQ(backlog.oldest_spans(), i + 1);
      EXPECT_EQ(next(backlog), bodies[i]);
    }
    EXPECT_TRUE(backlog.empty());
    EXPECT_EQ(backlog.spans(), 0U);
    EXPECT_EQ(backlog.bytes(), 0U);
  }
}

TEST(Backlog, PackedItIsAFractionAndWithoutItIsKeptAsItIs) {
  Backlog packed(1U << 20U, Packing::kZstd);
  Backlog plain(1U << 20U, Packing::kNone);
  for (Backlog* backlog : {&packed, &plain}) EXPECT_EQ(backlog->push(frame(1), 10, kLater), 0U);
  EXPECT_LT(packed.bytes(), 500U);
  EXPECT_GE(plain.bytes(), 5'000U);
}

TEST(Backlog, TheOldestGoAndTheirSpansAreSaid) {
  Backlog backlog(20'000, Packing::kNone);
  std::uint64_t dropped = 0;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    dropped += backlog.push(frame(i), i, kLater);
    ASSERT_LE(backlog.bytes(), 20'000U);
  }
  EXPECT_EQ(dropped + backlog.spans(), 5'050U);
  EXPECT_EQ(backlog.spans(), 98U + 99 + 100);
  for (std::uint64_t i = 98; i <= 100; ++i) EXPECT_EQ(next(backlog), frame(i));
}

TEST(Backlog, ALargeOneIsKeptAlone) {
  Backlog backlog(20'000, Packing::kZstd);
  const std::string large = noise(50'000);
  EXPECT_EQ(backlog.push(frame(1), 3, kLater), 0U);
  EXPECT_EQ(backlog.push(large, 4, kLater), 3U);
  EXPECT_EQ(*backlog.body(), large);
  EXPECT_EQ(backlog.push(frame(2), 5, kLater), 4U);
  EXPECT_EQ(next(backlog), frame(2));
}

TEST(Backlog, RemembersWhenToGiveUp) {
  Backlog backlog(1U << 20U, Packing::kZstd);
  const Backlog::Time now = std::chrono::steady_clock::now();
  EXPECT_EQ(backlog.push(frame(1), 1, now), 0U);
  EXPECT_EQ(backlog.push(frame(2), 2, kLater), 0U);
  EXPECT_EQ(backlog.oldest_give_up(), now);
  backlog.pop();
  EXPECT_EQ(backlog.oldest_give_up(), kLater);
  backlog.clear();
  EXPECT_TRUE(backlog.empty());
  EXPECT_EQ(backlog.spans() + backlog.bytes(), 0U);
}

}  // namespace
}  // namespace wirespan
