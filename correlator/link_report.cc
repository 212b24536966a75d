#include "correlator/link_report.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostServices = 64;  // the others are counted together

}  // namespace

LinkReport::Service& LinkReport::of(const Node& node) {
  auto it = services_.find(node.process->service);
  if (it != services_.end()) return it->second;
  const std::string name = services_.size() < kMostServices ? node.process->service : "other_services";
  it = services_.find(name);
  if (it != services_.end()) return it->second;
  const std::string prefix = "links." + name + ".";
  return services_
      .emplace(name, Service{prefix,
                             counters_.get(prefix + "calls"),
                             counters_.get(prefix + "checked.calls"),
                             counters_.get(prefix + "checked.right"),
                             counters_.get(prefix + "checked.wrong"),
                             {},
                             {}})
      .first->second;
}

Counter& LinkReport::by(std::vector<std::pair<std::string_view, Counter*>>& list, std::string_view word,
                        const std::string& prefix) {
  for (const auto& [name, counter] : list) {
    if (name == word) return *counter;
  }
  return *list.emplace_back(word, &counters_.get(prefix + std::string(word))).second;
}

void LinkReport::emitted(const Node& node) {
  if (node.role != SpanRole::kClient) return;
  Service& service = of(node);
  service.calls.add();
  if (node.link) {
    by(service.linked, node.link->method, service.prefix + "linked.").add();
  } else if (!node.unlinked_reason.empty()) {
    by(service.unlinked, node.unlinked_reason, service.prefix + "unlinked.").add();
  }
}

void LinkReport::checked(const Node& call) {
  of(call).checked.add();
}

void LinkReport::judged(const Node& call, std::uint64_t request) {
  Service& service = of(call);
  (call.true_request == request ? service.right : service.wrong).add();
}

}  // namespace wirespan
