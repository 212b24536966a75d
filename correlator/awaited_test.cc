// Threads that have others make their calls, and wait for them.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 100;
constexpr std::uint32_t kReaders = 10;    // threads that read requests: from here on
constexpr std::uint32_t kWorkers = 1000;  // that make calls
constexpr std::uint32_t kIo = 2000;       // that read responses

struct Service : Scene {
  Service() : Scene(waiting()) {}
  struct Open {
    ExchangePtr request;
    std::uint32_t reader = 0;
  };
  std::vector<std::pair<ExchangePtr, ExchangePtr>> pairs;  // request and call
  std::mt19937 random{1};

  void wake(std::uint32_t waker, std::uint32_t wakee) {
    now = now + 1000;
    correlator.on_event(event::Wake{now, thread(kPid, waker), {kPid, wakee}});
  }
  Open read(std::uint32_t n) { return {serve(thread(kPid, kReaders + n)), kReaders + n}; }
  ExchangePtr call_for(const Open& open, std::uint32_t worker) {
    ExchangePtr made = call(thread(kPid, kWorkers + worker));
    pairs.emplace_back(open.request, made);
    return made;
  }
  void answer(const Open& open) {
    finish(open.request, thread(kPid, open.reader));
    wait(6'000'000);
  }
  // Right and wrong, of all calls.
  std::pair<int, int> told() {
    int right = 0;
    int wrong = 0;
    for (const auto& [request, made] : pairs) {
      if (span(made).parent.method != "awaited") continue;
      ++(is_parent(request, made) ? right : wrong);
    }
    return {right, wrong};
  }
};

// As many requests open at once as there are readers; each has one thread of a pool make one call.
void handed_over(Service& service, int rounds,
                 const std::function<void(const Service::Open&, std::uint32_t)>& respond) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<Service::Open> open;
    std::vector<ExchangePtr> calls;
    for (std::uint32_t i = 0; i < 4; ++i) open.push_back(service.read(i));
    // The pool is shared: who works for whom changes.
    const auto shift = static_cast<std::uint32_t>(service.random() % 4);
    for (std::uint32_t i = 0; i < 4; ++i) calls.push_back(service.call_for(open[i], (i + shift) % 4));
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t worker = kWorkers + (i + shift) % 4;
      service.finish(calls[i], thread(kPid, worker));
      respond(open[i], worker);
      service.answer(open[i]);
    }
  }
}

TEST(Awaited, WhoMadeTheCallWakesWhoWaitsForIt) {
  Service service;
  handed_over(service, 50, [&](const auto& open, std::uint32_t worker) { service.wake(worker, open.reader); });
  const auto [right, wrong] = service.told();
  EXPECT_GE(right, 195);
  EXPECT_EQ(wrong, 0);
}

TEST(Awaited, AClientWithThreadsOfItsOwnPassesTheResponseOn) {
  Service service;
  for (int round = 0; round < 50; ++round) {
    std::vector<Service::Open> open;
    std::vector<ExchangePtr> calls;
    for (std::uint32_t i = 0; i < 4; ++i) open.push_back(service.read(i));
    for (std::uint32_t i = 0; i < 4; ++i) calls.push_back(service.call_for(open[i], 10 + i));
    for (std::uint32_t i = 0; i < 4; ++i) {
      service.finish(calls[i], thread(kPid, kIo));
      service.wake(kIo, kIo + 1 + i);
      service.wake(kIo + 1 + i, open[i].reader);
      service.answer(open[i]);
    }
  }
  const auto [right, wrong] = service.told();
  EXPECT_GE(right, 195);
  EXPECT_EQ(wrong, 0);
}

TEST(Awaited, LocksAreNotBelieved) {
  Service service;
  // Whoever has read a response lets a lock go that any of the others may wait for. All open requests are older than
  // nearly all calls, so that little looks impossible; but who was woken does not answer.
  constexpr std::uint32_t kOpen = 16;
  std::vector<Service::Open> open;
  for (std::uint32_t i = 0; i < kOpen; ++i) open.push_back(service.read(i));
  for (int i = 0; i < 2000; ++i) {
    Service::Open& one = open[service.random() % kOpen];
    const ExchangePtr made = service.call_for(one, one.reader);
    service.finish(made, thread(kPid, kWorkers + one.reader));
    service.wake(kWorkers + one.reader, kReaders + static_cast<std::uint32_t>(service.random() % kOpen));
    service.answer(one);
    one = service.read(one.reader - kReaders);
  }
  EXPECT_EQ(service.told(), std::pair(0, 0));
}

TEST(Awaited, ALockBesideTheAnswerLeavesTheCallOpen) {
  Service service;
  handed_over(service, 100, [&](const auto& open, std::uint32_t worker) {
    if (service.random() % 10 == 0) service.wake(worker, kReaders + static_cast<std::uint32_t>(service.random() % 4));
    service.wake(worker, open.reader);
  });
  const auto [right, wrong] = service.told();
  EXPECT_GE(right, 350);
  EXPECT_EQ(wrong, 0);
}

TEST(Awaited, OneTaskForAllCallsOfARequest) {
  Service service;
  for (int round = 0; round < 60; ++round) {
    std::vector<Service::Open> open;
    for (std::uint32_t i = 0; i < 4; ++i) open.push_back(service.read(i));
    for (std::uint32_t i = 0; i < 4; ++i) service.wake(open[i].reader, kWorkers + i);
    for (int k = 0; k < 3; ++k) {
      for (std::uint32_t i = 0; i < 4; ++i) service.finish(service.call_for(open[i], i), thread(kPid, kWorkers + i));
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
      service.wake(kWorkers + i, open[i].reader);
      service.answer(open[i]);
    }
  }
  const auto [right, wrong] = service.told();
  EXPECT_GE(right, 650);
  EXPECT_EQ(wrong, 0);
}

TEST(Awaited, WhereOnlyTheLastOfSeveralIsAwaitedTheOthersAreNobodys) {
  Service service;
  // Each request has two calls made at once, by whatever workers are free; only who is last wakes the reader.
  for (int round = 0; round < 100; ++round) {
    std::vector<Service::Open> open;
    for (std::uint32_t i = 0; i < 4; ++i) open.push_back(service.read(i));
    for (std::uint32_t i = 0; i < 4; ++i) service.wake(open[i].reader, kWorkers + i);
    std::vector<ExchangePtr> first;
    for (std::uint32_t i = 0; i < 4; ++i) first.push_back(service.call_for(open[i], i));
    for (std::uint32_t i = 0; i < 4; ++i) service.finish(first[i], thread(kPid, kWorkers + i));
    // The second calls: another request's next.
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t other = (i + 1) % 4;
      service.finish(service.call_for(open[other], i), thread(kPid, kWorkers + i));
      service.wake(kWorkers + i, open[other].reader);
      service.answer(open[other]);
    }
  }
  const auto [right, wrong] = service.told();
  EXPECT_GE(right, 300);
  EXPECT_EQ(wrong, 0);
}

TEST(Awaited, ARequestReadAfterTheCallIsNotItsParent) {
  Service service;
  handed_over(service, 50, [&](const auto& open, std::uint32_t worker) { service.wake(worker, open.reader); });
  service.pairs.clear();
  // A call in the background, whose thread then wakes who has just read a request.
  const ExchangePtr late = service.call(thread(kPid, kWorkers));
  const auto open = service.read(0);
  service.finish(late, thread(kPid, kWorkers));
  service.wake(kWorkers, open.reader);
  service.answer(open);
  EXPECT_FALSE(service.span(late).parent.id.valid());
}

}  // namespace
}  // namespace wirespan
