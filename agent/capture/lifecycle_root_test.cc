// What the kernel holds for the agent goes with it, however often it comes and goes. Needs root.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "agent/capture/bpf_object.h"
#include "agent/capture/plan.h"

namespace wirespan {
namespace {

// Ids of the kernel's BPF objects, as /proc/self/fdinfo names those this process holds. Counting all of the kernel's
// would see what others load meanwhile.
struct Ids {
  std::set<std::uint32_t> programs;
  std::set<std::uint32_t> maps;
  std::set<std::uint32_t> links;
  [[nodiscard]] std::size_t size() const { return programs.size() + maps.size() + links.size(); }
};

void add_held(Ids& ids) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream in(entry.path());
    Ids here;
    std::string key;
    for (std::uint32_t id = 0; in >> key;) {
      if (key == "prog_id:" && in >> id) here.programs.insert(id);
      if (key == "map_id:" && in >> id) here.maps.insert(id);
      if (key == "link_id:" && in >> id) here.links.insert(id);
    }
    // A link's file names its program too.
    ids.links.merge(here.links);
    ids.programs.merge(here.programs);
    ids.maps.merge(here.maps);
  }
}

void keep_living(std::set<std::uint32_t>& ids, int (*open_by_id)(std::uint32_t)) {
  for (auto it = ids.begin(); it != ids.end();) {
    const int fd = open_by_id(*it);
    if (fd >= 0) close(fd);
    it = fd >= 0 ? std::next(it) : ids.erase(it);
  }
}

// What is still there after the kernel had time to free it (it does so after a grace period).
std::size_t left_of(Ids ids) {
  for (int i = 0; i < 300 && ids.size() != 0; ++i) {
    if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    keep_living(ids.links, bpf_link_get_fd_by_id);
    keep_living(ids.programs, bpf_prog_get_fd_by_id);
    keep_living(ids.maps, bpf_map_get_fd_by_id);
  }
  return ids.size();
}

std::size_t open_descriptors() {
  std::size_t number = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++number;
  return number;
}

int rounds() {
  const char* text = std::getenv("WIRESPAN_TEST_ROUNDS");
  if (text != nullptr) return std::atoi(text);
  return std::getenv("CI") == nullptr ? 5 : 20;
}

// By perf where that is possible, else the last candidate of each hook: what the most kernels take. The plan functions
// has nothing by perf: first candidates for old kernels, last for newer ones, of what both need.
std::vector<const char*> programs_of(Plan plan, bool by_perf) {
  std::vector<const char*> programs;
  for (const Hook& hook : hooks_of(plan, {.by_perf = plan != Plan::kFunctions, .wakeups = true})) {
    if (plan == Plan::kFunctions && !hook.required) continue;
    programs.push_back(by_perf ? hook.candidates.front().program : hook.candidates.back().program);
  }
  return programs;
}

class Lifecycle : public ::testing::TestWithParam<std::tuple<Plan, bool>> {};
INSTANTIATE_TEST_SUITE_P(Plans, Lifecycle, ::testing::Combine(::testing::ValuesIn(kPlans), ::testing::Bool()),
                         [](const auto& p) {
                           return std::string(to_string(std::get<0>(p.param))) + (std::get<1>(p.param) ? "_perf" : "");
                         });

TEST_P(Lifecycle, AttachedAndDetachedManyTimesLeavesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  BpfSettings settings;
  settings.ring_bytes = 64U << 10U;
  settings.max_connections = settings.max_processes = settings.max_threads = 64;
  const auto [plan, by_perf] = GetParam();
  const std::vector<const char*> programs = programs_of(plan, by_perf);
  Ids ids;
  int wanted = rounds();
  const std::size_t descriptors = open_descriptors();
  {
    auto object = BpfObject::load(settings, programs);
    if (!object && (by_perf || plan != Plan::kSyscalls)) GTEST_SKIP() << "this kernel has no such plan";
    ASSERT_TRUE(object) << object.error().text();
    const std::size_t loaded = open_descriptors();
    for (int round = 0; round < wanted; ++round) {
      for (const char* program : programs) {
        const Status attached = (*object)->attach(program);
        // Old kernels (5.10) attach what they loaded for a function once.
        if (round == 1 && !attached && plan == Plan::kFunctions && attached.error().code == ENOENT) {
          wanted = 1;
          break;
        }
        ASSERT_TRUE(attached) << program << " in round " << round << ": " << attached.error().text();
      }
      add_held(ids);
      (*object)->detach_all();
      ASSERT_EQ(open_descriptors(), loaded) << "round " << round;
    }
  }
  EXPECT_EQ(open_descriptors(), descriptors);
  EXPECT_GE(ids.links.size(), programs.size() * static_cast<std::size_t>(wanted));
  EXPECT_EQ(left_of(ids), 0U) << "of " << ids.programs.size() << " programs, " << ids.maps.size() << " maps, "
                              << ids.links.size() << " links";
}

}  // namespace
}  // namespace wirespan
