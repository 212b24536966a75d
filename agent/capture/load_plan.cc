#include "agent/capture/load_plan.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace wirespan {
namespace {

std::vector<Candidate> in_order(const Hook& hook, const std::string& prefer) {
  std::vector<Candidate> candidates(hook.candidates.begin(), hook.candidates.end());
  std::stable_partition(candidates.begin(), candidates.end(), [&](const Candidate& c) {
    return !prefer.empty() && std::string_view(c.program).ends_with(prefer);
  });
  return candidates;
}

}  // namespace

Result<std::unique_ptr<BpfObject>> load_plan(const BpfSettings& settings, const std::vector<Hook>& hooks,
                                             const std::string& prefer, std::vector<const char*>& programs) {
  programs.clear();
  std::vector<std::vector<Candidate>> left;
  for (const Hook& hook : hooks) {
    left.push_back(in_order(hook, prefer));
    programs.push_back(left.back().front().program);
  }
  for (;;) {
    std::string refused;
    auto object = BpfObject::load(settings, programs, &refused);
    if (object) return object;
    const auto which =
        std::find_if(programs.begin(), programs.end(), [&](const char* p) { return p != nullptr && refused == p; });
    if (which == programs.end()) return object;
    const auto i = static_cast<std::size_t>(which - programs.begin());
    left[i].erase(left[i].begin());
    if (left[i].empty() && hooks[i].required) return object;
    programs[i] = left[i].empty() ? nullptr : left[i].front().program;
  }
}

Status attach_all(BpfObject& object, const std::vector<Hook>& hooks, std::span<const char* const> programs) {
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const bool now = hooks[i].attached == Hook::Attached::kAlways || hooks[i].attached == Hook::Attached::kAtFirst;
    if (programs[i] == nullptr || !now) continue;
    Status attached = object.attach(programs[i]);
    if (!attached && hooks[i].required) return attached;
  }
  return {};
}

}  // namespace wirespan
