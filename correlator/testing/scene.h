// Scenes for tests of links: "thread 7 of process 1 reads a request, sends another, ..." played into a Correlator.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "correlator/correlator.h"

namespace wirespan::testing {

// Wall time is set forward by `step_ns` whenever it is asked.
class SteppedClock : public ManualClock {
 public:
  std::uint64_t step_ns = 0;
  [[nodiscard]] WallTime to_wall(BootTime time) const override {
    return {ManualClock::to_wall(time).ns + step_ns * ++asked_};
  }

 private:
  mutable std::uint64_t asked_ = 0;
};

class Scene : public Sink<Span>, public ProcessDirectory {
 public:
  // Without inference, so that what certain evidence leaves open stays so.
  static CorrelatorOptions certain() {
    CorrelatorOptions options;
    options.infer = false;
    return options;
  }
  // With inference calls wait for what proves them; but neither it nor a guess says anything.
  static CorrelatorOptions waiting() {
    CorrelatorOptions options;
    options.disabled = {"only_open", "inferred"};
    return options;
  }
  explicit Scene(CorrelatorOptions options = certain())
      : correlator(*this, *this, clock, counters, std::move(options)) {}

  // Time passes by 1 us with every call unless set.
  BootTime now{1'000'000'000};
  std::map<std::uint32_t, Runtime> runtimes;
  std::vector<Span> spans;
  Counters counters;
  SteppedClock clock;
  Correlator correlator;

  // A new connection's end; `sent` and `received` are its bases. Announces it when connected by `opener`.
  ConnectionPtr connection(std::uint32_t pid, std::uint64_t sent, std::uint64_t received, TcpSide side,
                           Actor opener = {}) {
    auto conn = std::make_shared<Connection>();
    conn->id = ConnId{++connections_};
    conn->pid = pid;
    conn->side = side;
    conn->opened = now;
    conn->has_base = sent != 0;
    conn->sent_base = sent;
    conn->received_base = received;
    correlator.on_event(event::Opened{conn, opener});
    return conn;
  }

  ExchangePtr open(SpanRole role, Actor actor, ConnectionPtr conn = nullptr, CarriedHeaders carried = {},
                   std::vector<std::uint64_t> rare_values = {}) {
    if (!conn)
      conn = connection(actor.thread.pid, 0, 0, role == SpanRole::kClient ? TcpSide::kActive : TcpSide::kPassive);
    auto request = std::make_shared<Message>();
    request->conn = conn;
    request->first_byte = request->last_byte = {tick(), actor};
    request->carried = std::move(carried);
    request->rare_values = std::move(rare_values);
    request->name = role == SpanRole::kClient ? "GET" : "GET /";
    auto exchange = std::make_shared<Exchange>();
    exchange->number = ++exchanges_;
    exchange->role = role;
    exchange->conn = conn;
    exchange->request = request;
    if (conn->has_base) {
      const bool client = role == SpanRole::kClient;
      exchange->key = {client ? conn->sent_base : conn->received_base, client ? conn->received_base : conn->sent_base,
                       0};
    }
    correlator.accept(ExchangeOpened{exchange});
    return exchange;
  }
  ExchangePtr serve(Actor actor, ConnectionPtr conn = nullptr, CarriedHeaders carried = {}) {
    return open(SpanRole::kServer, actor, std::move(conn), std::move(carried));
  }
  ExchangePtr call(Actor actor, ConnectionPtr conn = nullptr, CarriedHeaders carried = {}) {
    return open(SpanRole::kClient, actor, std::move(conn), std::move(carried));
  }
  void finish(const ExchangePtr& exchange, Actor actor) {
    auto response = std::make_shared<Message>();
    response->kind = MessageKind::kResponse;
    response->first_byte = response->last_byte = {tick(), actor};
    exchange->response = response;
    exchange->ended = now;
    correlator.accept(ExchangeTouched{exchange, MessageKind::kResponse, response->first_byte, true});
    correlator.accept(ExchangeFinished{exchange});
  }
  void wait(std::int64_t ns) {
    now = now + ns;
    correlator.on_event(event::Tick{now});
  }
  // The span of an exchange; flushes first.
  const Span& span(const ExchangePtr& exchange) {
    correlator.flush();
    for (const Span& s : spans) {
      if (s.start.ns == exchange->request->first_byte.time.ns) return s;
    }
    static const Span kNone;
    return kNone;
  }
  bool is_parent(const ExchangePtr& parent, const ExchangePtr& child) {
    return span(child).parent.id.valid() && span(child).parent.id == span(parent).id &&
           span(child).trace == span(parent).trace;
  }

  void accept(const Span& item) override { spans.push_back(item); }
  ProcessInfoPtr find(std::uint32_t pid) override {
    auto info = std::make_shared<ProcessInfo>();
    info->pid = pid;
    info->service = "service";
    info->runtime = runtimes[pid];
    return info;
  }

 private:
  BootTime tick() { return now = now + 1000; }
  std::uint64_t connections_ = 0;
  std::uint64_t exchanges_ = 0;
};

inline Actor thread(std::uint32_t pid, std::uint32_t tid, std::uint32_t loop = 0) {
  return {{pid, tid}, loop, 0, 0};
}
inline Actor goroutine(std::uint32_t pid, std::uint64_t task, std::uint64_t parent = 0) {
  return {{pid, pid}, 0, task, parent};
}

}  // namespace wirespan::testing
