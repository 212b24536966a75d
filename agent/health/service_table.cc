#include "agent/health/service_table.h"

#include <utility>

namespace wirespan {

void ServiceTable::accept(const Span& span) {
  add(span);
  next_.accept(span);
}

void ServiceTable::take(Span&& span) {
  add(span);
  next_.take(std::move(span));
}

void ServiceTable::add(const Span& span) {
  if (span.process == nullptr) return;
  const std::lock_guard lock(mutex_);
  ServiceHealth& service = of(span.process->service);
  if (span.role == SpanRole::kServer) {
    ++service.requests;
    if (span.status == SpanStatus::kError) ++service.errors;
    service.latency.add(span.end.ns > span.start.ns ? span.end.ns - span.start.ns : 0);
    return;
  }
  ++service.calls;
  const auto it = service.links.find(span.parent.method);
  if (it != service.links.end()) {
    ++it->second;
  } else {
    service.links.emplace(span.parent.method, 1);
  }
}

void ServiceTable::counted(std::string_view name, const event::Counted& counted) {
  if (counted.side != TcpSide::kPassive) return;
  const std::lock_guard lock(mutex_);
  ServiceHealth& service = of(name);
  service.sampled_out += counted.requests;
  for (std::size_t i = 0; i < counted.slots.size(); ++i) {
    // The middle of the slot, which is an octave of 1024 ns.
    service.latency.add((std::uint64_t{1536} << i), counted.slots[i]);
  }
}

ServiceHealth& ServiceTable::of(std::string_view name) {
  if (last_ != nullptr && last_->name == name) return *last_;
  auto it = services_.find(name);
  if (it == services_.end()) {
    if (services_.size() >= kMostServices) name = kOthers;
    it = services_.try_emplace(std::string(name)).first;
    it->second.name = name;
  }
  last_ = &it->second;
  return *last_;
}

std::vector<ServiceHealth> ServiceTable::snapshot() const {
  const std::lock_guard lock(mutex_);
  std::vector<ServiceHealth> out;
  out.reserve(services_.size());
  for (const auto& [name, service] : services_) out.push_back(service);
  return out;
}

}  // namespace wirespan
