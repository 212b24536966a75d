// Contexts in the test's own memory, laid out as HotSpot lays out objects, moved as its collectors move them.
#include "agent/capture/java_contexts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "bpf/abi/events.h"

namespace wirespan {
namespace {

constexpr std::uint64_t kFresh = 1;           // a mark word: not locked, no collection lived through
constexpr std::uint64_t kOld = 1 | 4U << 3U;  // four
constexpr std::uint64_t kContextClass = 0x1234;
constexpr std::uint64_t kOtherClass = 0x5678;

struct Object {
  std::uint64_t mark = kFresh;
  std::uint64_t named = kContextClass;
};

struct Heap {
  Heap() {
    JavaHeap how;
    how.class_at = 8;
    how.class_mask = UINT32_MAX;
    contexts.found(pid, how);
    EXPECT_NE(contexts.number(pid, task(objects[15], 1)), 0U);  // they begin to count at any number
  }
  static std::uint64_t address(const Object& object) {
    return reinterpret_cast<std::uint64_t>(&object);  // NOLINT(performance-no-int-to-ptr)
  }
  // As the kernel side tells it.
  static std::uint64_t task(const Object& object, std::uint64_t collections) {
    return WS_TASK_CONTEXT | WS_TASK_OBJECT | collections << WS_OBJECT_BITS | address(object) >> WS_OBJECT_ALIGNMENT;
  }
  std::uint64_t number(const Object& object, std::uint64_t collections) {
    return contexts.number(pid, task(object, collections));
  }
  static void move(Object& from, Object& to) {
    to = from;
    to.mark = kFresh | 1U << 3U;
    from.mark = address(to) | 3;
  }

  std::uint32_t pid = static_cast<std::uint32_t>(getpid());
  Counters counters;
  JavaContexts contexts{counters};
  alignas(8) std::array<Object, 16> objects;
};

TEST(JavaContexts, KeepTheirNumbersWhereverTheyAreMoved) {
  Heap heap;
  auto& o = heap.objects;
  const std::uint64_t first = heap.number(o[0], 1);
  const std::uint64_t second = heap.number(o[1], 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(heap.number(o[0], 1), first);
  Heap::move(o[0], o[3]);
  Heap::move(o[1], o[2]);
  EXPECT_EQ(heap.number(o[2], 2), second);
  EXPECT_EQ(heap.number(o[3], 2), first);
  Heap::move(o[3], o[5]);
  EXPECT_EQ(heap.number(o[5], 3), first);
}

TEST(JavaContexts, OldOnesStayWhereTheyAre) {
  Heap heap;
  heap.objects[0].mark = kOld;
  const std::uint64_t first = heap.number(heap.objects[0], 1);
  EXPECT_EQ(heap.number(heap.objects[0], 2), first);
}

// Where a dead one was, the next request's context may come to lie.
TEST(JavaContexts, ANewOneInADeadOnesPlaceIsAnother) {
  Heap heap;
  const std::uint64_t first = heap.number(heap.objects[0], 1);
  EXPECT_NE(heap.number(heap.objects[0], 2), first);
}

// The place was used again before it was looked at: it holds anything.
TEST(JavaContexts, WhatIsNoForwardingAddressIsNotFollowed) {
  Heap heap;
  auto& o = heap.objects;
  const std::uint64_t first = heap.number(o[0], 1);
  const std::uint64_t second = heap.number(o[1], 1);
  o[2].named = kOtherClass;
  o[0].mark = Heap::address(o[2]) | 3;
  o[1].mark = 0xdeadbeef0007;
  EXPECT_NE(heap.number(o[2], 2), first);
  EXPECT_NE(heap.number(o[3], 2), second);
}

TEST(JavaContexts, AfterTwoCollectionsAtOnceNothingIsKnownAgain) {
  Heap heap;
  auto& o = heap.objects;
  const std::uint64_t first = heap.number(o[0], 1);
  Heap::move(o[0], o[1]);
  EXPECT_NE(heap.number(o[1], 3), first);
}

// Threads tell of what they do in no strict order.
TEST(JavaContexts, ALateRecordIsOfBeforeTheCollection) {
  Heap heap;
  auto& o = heap.objects;
  const std::uint64_t first = heap.number(o[0], 1);
  Heap::move(o[0], o[1]);
  EXPECT_EQ(heap.number(o[1], 2), first);
  EXPECT_EQ(heap.number(o[0], 1), first);
  EXPECT_EQ(heap.contexts.number(heap.pid, Heap::task(o[0], 0)), 0U) << "older than all that is known";
  EXPECT_EQ(heap.number(o[1], 2), first);
}

TEST(JavaContexts, NothingIsSaidOfProcessesNotFound) {
  Heap heap;
  EXPECT_EQ(heap.contexts.number(heap.pid + 1, Heap::task(heap.objects[0], 1)), 0U);
  heap.contexts.exited(heap.pid);
  EXPECT_EQ(heap.number(heap.objects[0], 1), 0U);
}

TEST(JavaContexts, ThoseUsedLatelyAreKept) {
  Heap heap;
  const std::uint64_t first = heap.number(heap.objects[0], 1);
  const std::uint64_t objects = WS_TASK_CONTEXT | WS_TASK_OBJECT | std::uint64_t{1} << WS_OBJECT_BITS;
  for (std::uint64_t i = 1; i < 100'000; ++i) {
    ASSERT_NE(heap.contexts.number(heap.pid, objects | i), 0U);
    if (i % 1000 == 0) {
      ASSERT_EQ(heap.number(heap.objects[0], 1), first);
    }
  }
}

}  // namespace
}  // namespace wirespan
