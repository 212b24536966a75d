// Maps are read and written by a program: what it does is what bpf(2) sees. Needs root.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/capture/bpf_object.h"
#include "agent/capture/kernel_maps.h"
#include "bpf/abi/events.h"

namespace wirespan {
namespace {

constexpr std::uint64_t kNew = BPF_NOEXIST;

template <class Value>
Value filled(unsigned char with) {
  Value value;
  std::memset(static_cast<void*>(&value), with, sizeof(value));
  return value;
}

template <class Key, class Value>
void check(KernelMaps& maps, ws_map map) {
  SCOPED_TRACE(map);
  const auto key = filled<Key>(7);
  const auto other = filled<Key>(9);
  const auto value = filled<Value>(0xa5);
  Value seen{};
  ASSERT_GE(maps.fd(map), 0);
  EXPECT_FALSE(maps.lookup(map, key, seen));
  ASSERT_EQ(maps.update(map, key, value, kNew), 0);
  EXPECT_EQ(maps.update(map, key, filled<Value>(1), kNew), -EEXIST);
  ASSERT_EQ(bpf_map_lookup_elem(maps.fd(map), &key, &seen), 0);
  EXPECT_EQ(std::memcmp(&seen, &value, sizeof(value)), 0);
  seen = {};
  ASSERT_TRUE(maps.lookup(map, key, seen));
  EXPECT_EQ(std::memcmp(&seen, &value, sizeof(value)), 0);
  Key at{};
  ASSERT_TRUE(maps.next<Key>(map, nullptr, at));
  EXPECT_EQ(std::memcmp(&at, &key, sizeof(key)), 0);
  EXPECT_FALSE(maps.next(map, &at, at));
  EXPECT_FALSE(maps.remove(map, other));
  EXPECT_TRUE(maps.remove(map, key));
  EXPECT_FALSE(maps.lookup(map, key, seen));
}

TEST(KernelMaps, ByTheProgramAndByBpfAreOne) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  auto object = BpfObject::load({}, {});
  ASSERT_TRUE(object) << object.error().text();
  KernelMaps& maps = (*object)->maps();
  check<std::uint32_t, ws_target>(maps, WS_MAP_TARGETS);
  check<std::uint64_t, ws_conn>(maps, WS_MAP_CONNS);
  check<ws_turns_key, ws_turns>(maps, WS_MAP_TURNS);
  check<std::uint32_t, ws_go_process>(maps, WS_MAP_GO_PROCESSES);
  check<std::uint32_t, ws_python_process>(maps, WS_MAP_PYTHON_PROCESSES);
  check<ws_python_context, ws_ev_lineage>(maps, WS_MAP_PYTHON_CONTEXTS);
  check<std::uint32_t, ws_python_deques>(maps, WS_MAP_PYTHON_DEQUES);
  check<std::uint32_t, ws_java_process>(maps, WS_MAP_JAVA_PROCESSES);
  check<ws_java_class_of, ws_java_way>(maps, WS_MAP_JAVA_WAYS);
  check<ws_java_class_of, ws_java_kind>(maps, WS_MAP_JAVA_KINDS);
  check<std::uint32_t, ws_node_process>(maps, WS_MAP_NODE_PROCESSES);
  check<std::uint32_t, ws_tokio_process>(maps, WS_MAP_TOKIO_PROCESSES);
  check<std::uint32_t, ws_tokio_guess>(maps, WS_MAP_TOKIO_GUESSES);
  check<std::uint32_t, std::uint8_t>(maps, WS_MAP_WAKING_PROCESSES);
}

}  // namespace
}  // namespace wirespan
