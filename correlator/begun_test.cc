// Threads begun for a request.
#include <gtest/gtest.h>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 100;

struct Service : Scene {
  Service() : Scene(waiting()) {}
  void begin(std::uint32_t parent, std::uint32_t child) {
    correlator.on_event(event::Forked{now = now + 1000, {kPid, parent}, {kPid, child}});
  }
  void end(std::uint32_t tid) { correlator.on_event(event::ThreadExited{now = now + 1000, {kPid, tid}}); }
  ExchangePtr called(std::uint32_t tid) {
    const ExchangePtr made = call(thread(kPid, tid));
    finish(made, thread(kPid, tid));
    return made;
  }
};

TEST(Begun, AThreadThatEndsWithItsRequestWorkedForIt) {
  Service service;
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.begin(1, 11);
  service.begin(2, 12);
  const auto of_second = service.called(12);
  const auto of_first = service.called(11);
  service.begin(12, 13);
  const auto of_child = service.called(13);
  for (const std::uint32_t tid : {11U, 13U, 12U}) service.end(tid);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_TRUE(service.is_parent(first, of_first));
  EXPECT_TRUE(service.is_parent(second, of_second));
  EXPECT_TRUE(service.is_parent(second, of_child));
}

TEST(Begun, AThreadThatGoesOnIsNobodys) {
  Service service;
  const auto request = service.serve(thread(kPid, 1));
  service.begin(1, 11);
  const auto during = service.called(11);
  service.finish(request, thread(kPid, 1));
  const auto after = service.called(11);
  service.end(11);
  EXPECT_FALSE(service.span(during).parent.id.valid());
  EXPECT_FALSE(service.span(after).parent.id.valid());
}

// A pool's first worker, begun by a request, begins others, some of which it does not need for long.
TEST(Begun, WhatIsBegunByAThreadThatGoesOnIsNobodys) {
  Service service;
  const auto request = service.serve(thread(kPid, 1));
  const auto other = service.serve(thread(kPid, 2));
  service.begin(1, 11);
  service.begin(11, 12);
  const auto of_other = service.called(12);
  service.end(12);
  service.finish(request, thread(kPid, 1));
  service.called(11);
  service.finish(other, thread(kPid, 2));
  EXPECT_FALSE(service.is_parent(request, of_other));
}

TEST(Begun, AThreadThatLivesOnIsNobodys) {
  Service service;
  const auto request = service.serve(thread(kPid, 1));
  service.begin(1, 11);
  const auto made = service.called(11);
  service.finish(request, thread(kPid, 1));
  for (int i = 0; i < 3; ++i) service.wait(200'000'000);
  service.end(11);
  EXPECT_FALSE(service.span(made).parent.id.valid());
}

TEST(Begun, WhoServesSeveralBeginsThreadsForNobody) {
  Service service;
  const auto one = service.serve(thread(kPid, 1));
  const auto other = service.serve(thread(kPid, 1));
  service.begin(1, 11);
  const auto made = service.called(11);
  service.end(11);
  service.finish(one, thread(kPid, 1));
  service.finish(other, thread(kPid, 1));
  EXPECT_FALSE(service.span(made).parent.id.valid());
}

TEST(Begun, AThreadThatServesWasBegunForThat) {
  Service service;
  const auto outer = service.serve(thread(kPid, 1));
  service.begin(1, 11);
  const auto inner = service.serve(thread(kPid, 11));
  const auto made = service.called(11);
  service.finish(inner, thread(kPid, 11));
  service.end(11);
  service.finish(outer, thread(kPid, 1));
  EXPECT_FALSE(service.is_parent(outer, made));
}

}  // namespace
}  // namespace wirespan
