// Scenes of a Go process, whose goroutines read requests and make calls.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "correlator/testing/scene.h"

namespace wirespan::testing {

using GoRole = event::Handover::Role;
inline constexpr std::uint32_t kGoPid = 1;

struct GoScene : Scene {
  GoScene() { runtimes[kGoPid] = Runtime::kGo; }

  // A goroutine reads a request while the runtime's processors are about to give out these ids. Two other
  // requests are open, so that nothing is linked for being the only one.
  ExchangePtr read(std::uint64_t task, std::vector<std::uint64_t> next, ConnectionPtr conn = nullptr) {
    event::Births births{now, kGoPid, task, static_cast<std::uint32_t>(next.size()), {}};
    // Runs begin at 1, 17, 33, ... here; beside cgo they begin anywhere.
    std::transform(next.begin(), next.end(), births.next.begin(),
                   [](std::uint64_t id) { return id | (16 - (id - 1) % 16) << 56U; });
    if (!next.empty()) correlator.on_event(births);
    return serve(goroutine(kGoPid, task, 1), std::move(conn));
  }
  void hand_over(GoRole role, std::uint64_t object, std::uint64_t task, std::uint64_t parent) {
    correlator.on_event(event::Handover{now, goroutine(kGoPid, task, parent), role, object});
  }
  void finish_all(std::initializer_list<ExchangePtr> exchanges) {
    for (const auto& e : exchanges) finish(e, goroutine(kGoPid, 999));
  }
  // A request read by `reader`, next id `next`, whose child `next` makes one call and ends.
  void fan_out(std::uint64_t reader, std::uint64_t next) {
    const auto request = read(reader, {next});
    finish_all({call(goroutine(kGoPid, next, reader)), request});
  }
  // The process has shown that its goroutines end with the requests they were begun for.
  void show_that_children_end(std::uint64_t requests = 48) {
    for (std::uint64_t i = 0; i < requests; ++i) fan_out(10'000 + 20 * i, 10'001 + 20 * i);
    wait(600'000'000);
  }
  bool is_root(const ExchangePtr& call) { return !span(call).parent.id.valid(); }
  ExchangePtr other = read(500, {});
  ExchangePtr another = read(501, {});
};

}  // namespace wirespan::testing
