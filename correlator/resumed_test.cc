// Threads that are kept when they have ended, and begun again by being woken.
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
  void wake(std::uint32_t waker, std::uint32_t wakee, bool alone = true) {
    correlator.on_event(event::Wake{now = now + 1000, thread(kPid, waker), {kPid, wakee}, alone});
  }
  ExchangePtr called(std::uint32_t tid) {
    const ExchangePtr made = call(thread(kPid, tid));
    finish(made, thread(kPid, tid));
    return made;
  }
  // A request of `tid` for which `worker` is begun again, makes a call and ends.
  ExchangePtr served(std::uint32_t tid, std::uint32_t worker) {
    const ExchangePtr request = serve(thread(kPid, tid));
    wake(tid, worker);
    const ExchangePtr made = called(worker);
    finish(request, thread(kPid, tid));
    return made;
  }
  void prove() {
    for (int i = 0; i < 16; ++i) served(1, 11);
  }
};

TEST(Resumed, WhoWakesAThreadThatWaitsAloneHasBegunIt) {
  Service service;
  service.prove();
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.wake(1, 11);
  service.wake(2, 12);
  const auto of_second = service.called(12);
  const auto of_first = service.called(11);
  service.wake(11, 13);
  const auto of_child = service.called(13);
  service.wake(2, 11);
  const auto again = service.called(11);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_TRUE(service.is_parent(first, of_first));
  EXPECT_TRUE(service.is_parent(second, of_second));
  EXPECT_TRUE(service.is_parent(first, of_child));
  EXPECT_TRUE(service.is_parent(second, again));
}

TEST(Resumed, WhatIsNotProvenYetIsNotSaidAndThenIs) {
  Service service;
  const auto request = service.serve(thread(kPid, 1));
  service.wake(1, 11);
  const auto made = service.called(11);
  service.finish(request, thread(kPid, 1));
  EXPECT_EQ(service.counters.get("correlator.links.resumed").value(), 0U);
  service.prove();
  EXPECT_TRUE(service.is_parent(request, made));
}

TEST(Resumed, WakeUpsOfQueuesAndLocksBeginNothing) {
  Service service;
  service.prove();
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.wake(1, 11);
  service.wake(2, 11, false);
  const auto of_first = service.called(11);
  service.wake(1, 12, false);
  const auto of_nobody = service.called(12);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_TRUE(service.is_parent(first, of_first));
  EXPECT_FALSE(service.is_parent(first, of_nobody));
}

// A call of a pool's worker goes on when the request is answered for which the worker was woken: it was another's.
TEST(Resumed, WorkersThatTakeWhateverComesNextAreNobodys) {
  Service service;
  service.prove();
  for (int i = 0; i < 4; ++i) {
    const auto request = service.serve(thread(kPid, 1));
    service.wake(1, 11);
    service.called(11);
    const auto of_another = service.call(thread(kPid, 11));
    service.finish(request, thread(kPid, 1));
    service.finish(of_another, thread(kPid, 11));
  }
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.wake(1, 11);
  const auto made = service.called(11);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_FALSE(service.is_parent(first, made));
}

TEST(Resumed, WhoIsBegunByNobodyKnownWorksForNobody) {
  Service service;
  service.prove();
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.wake(1, 11);
  service.wake(50, 11);
  const auto made = service.called(11);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_FALSE(service.is_parent(first, made));
  EXPECT_FALSE(service.is_parent(second, made));
}

// It waits for what others do for it, on a word of its own.
TEST(Resumed, WhoServesARequestIsNotBegun) {
  Service service;
  service.prove();
  const auto first = service.serve(thread(kPid, 1));
  const auto second = service.serve(thread(kPid, 2));
  service.wake(1, 2);
  const auto own = service.called(2);
  service.finish(first, thread(kPid, 1));
  service.finish(second, thread(kPid, 2));
  EXPECT_FALSE(service.is_parent(first, own));
  EXPECT_TRUE(service.is_parent(second, own));
}

}  // namespace
}  // namespace wirespan
