#include "agent/capture/node_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/capture/node_executable.h"
#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their allocators hide the few words among gigabytes of their own
#else
constexpr bool kSanitized = false;
#endif

// As Node keeps them: {isolate, count, byte offset, pointer}.
struct Ids {
  std::array<double, 4> fields;
  std::array<std::uint64_t, 4> buffer;
  explicit Ids(std::array<double, 4> values) : fields(values), buffer() {
    buffer = {reinterpret_cast<std::uint64_t>(this), 4, 0,      // NOLINT(*-reinterpret-cast)
              reinterpret_cast<std::uint64_t>(fields.data())};  // NOLINT(*-reinterpret-cast)
  }
  Ids(const Ids&) = delete;
  Ids& operator=(const Ids&) = delete;
};

std::string heap_of_self() {
  const auto pid = static_cast<std::uint32_t>(getpid());
  return maps_of(pid);
}

TEST(NodeMemory, FindsTheIdsByTheirShape) {
  if (kSanitized) GTEST_SKIP();
  const auto pid = static_cast<std::uint32_t>(getpid());
  const auto wrong_order = std::make_unique<Ids>(std::array<double, 4>{31, 7, 30, -1});
  const auto no_numbers = std::make_unique<Ids>(std::array<double, 4>{1.5, 0, 30, -1});
  const auto none = find_async_ids(pid, heap_of_self());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, EAGAIN);

  const auto right = std::make_unique<Ids>(std::array<double, 4>{12, 7, 30, -1});
  const auto found = find_async_ids(pid, heap_of_self());
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(*found, reinterpret_cast<std::uint64_t>(right->fields.data()));  // NOLINT(*-reinterpret-cast)

  const auto another = std::make_unique<Ids>(std::array<double, 4>{0, 0, 4, 2});
  const auto two = find_async_ids(pid, heap_of_self());
  ASSERT_FALSE(two) << "of two one would be a guess";
  EXPECT_NE(two.error().code, EAGAIN);
}

TEST(NodeMemory, WhatIsNoNodeHasNoMapping) {
  EXPECT_TRUE(node_mapping(static_cast<std::uint32_t>(getpid()), heap_of_self()).path.empty());
}

TEST(NodeExecutable, WithoutItsSymbolsItIsRefused) {
  const auto self = read_node_executable("/proc/self/exe");
  ASSERT_FALSE(self);
  EXPECT_NE(self.error().what.find("stripped"), std::string::npos);
  EXPECT_FALSE(read_node_executable("/dev/null"));
}

}  // namespace
}  // namespace wirespan
