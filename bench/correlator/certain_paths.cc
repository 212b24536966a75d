// Spans per second through the correlator on its certain paths, one core: a chain of three services, thread per
// request, both ends of every connection seen. Prints one JSON line.
#include <cstdio>
#include <ctime>
#include <memory>
#include <vector>

#include "correlator/correlator.h"

namespace wirespan {
namespace {

class Null : public Sink<Span>, public ProcessDirectory {
 public:
  void accept(const Span& span) override { linked += span.parent.id.valid() ? 1U : 0U; }
  ProcessInfoPtr find(std::uint32_t /*pid*/) override { return info_; }
  std::uint64_t linked = 0;

 private:
  ProcessInfoPtr info_ = std::make_shared<ProcessInfo>();
};

ConnectionPtr connection(std::uint64_t id, std::uint32_t pid, std::uint64_t sent, std::uint64_t received,
                         TcpSide side) {
  auto conn = std::make_shared<Connection>();
  conn->id = ConnId{id};
  conn->pid = pid;
  conn->side = side;
  conn->has_base = true;
  conn->sent_base = sent;
  conn->received_base = received;
  return conn;
}

struct Driver {
  Correlator& correlator;
  BootTime now{1'000'000'000};
  std::uint64_t number = 0;

  ExchangePtr open(SpanRole role, const ConnectionPtr& conn, std::uint64_t position, Actor actor) {
    auto request = std::make_shared<Message>();
    now.ns += 500;
    request->first_byte = request->last_byte = {now, actor};
    request->name = "GET /users/{id}";
    request->attributes.set("http.request.method", "GET");
    request->attributes.set("url.path", "/users/12");
    auto exchange = std::make_shared<Exchange>();
    exchange->number = ++number;
    exchange->role = role;
    exchange->conn = conn;
    exchange->request = std::move(request);
    const bool client = role == SpanRole::kClient;
    exchange->key = {(client ? conn->sent_base : conn->received_base) + position,
                     client ? conn->received_base : conn->sent_base, 0};
    correlator.accept(ExchangeOpened{exchange});
    return exchange;
  }
  void finish(const ExchangePtr& exchange) {
    auto response = std::make_shared<Message>();
    response->kind = MessageKind::kResponse;
    now.ns += 500;
    response->first_byte = response->last_byte = {now, exchange->request->first_byte.actor};
    response->attributes.set("http.response.status_code", 200);
    exchange->response = std::move(response);
    exchange->ended = now;
    correlator.accept(ExchangeTouched{exchange, MessageKind::kResponse, exchange->response->first_byte, true});
    correlator.accept(ExchangeFinished{exchange});
  }
};

int run(std::uint64_t requests) {
  Null null;
  ManualClock clock;
  Counters counters;
  Correlator correlator(null, null, clock, counters, {});
  Driver d{correlator};
  constexpr std::uint32_t kThreads = 50;
  std::vector<ConnectionPtr> ends;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    const std::uint64_t base = 1'000'000 * (t + 1);
    ends.push_back(connection(4 * t, 1, base, base + 1, TcpSide::kActive));
    ends.push_back(connection(4 * t + 1, 2, base + 1, base, TcpSide::kPassive));
    ends.push_back(connection(4 * t + 2, 2, base + 2, base + 3, TcpSide::kActive));
    ends.push_back(connection(4 * t + 3, 3, base + 3, base + 2, TcpSide::kPassive));
  }
  for (const auto& end : ends) correlator.on_event(event::Opened{end, {}});
  const std::clock_t begin = std::clock();
  for (std::uint64_t i = 0; i < requests; i += kThreads) {
    std::vector<ExchangePtr> open;
    for (std::uint32_t t = 0; t < kThreads; ++t) {
      for (std::uint32_t end = 0; end < 4; ++end) {
        const std::uint32_t pid = ends[4 * t + end]->pid;
        const Actor actor{{pid, 1000 * pid + t}, 0, 0, 0};
        open.push_back(d.open(end % 2 == 0 ? SpanRole::kClient : SpanRole::kServer, ends[4 * t + end], i, actor));
      }
    }
    for (auto it = open.rbegin(); it != open.rend(); ++it) d.finish(*it);
    if (i / kThreads % 20 == 0) correlator.on_event(event::Tick{d.now});
  }
  correlator.flush();
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  const double spans = static_cast<double>(d.number);
  std::printf(
      "{\"bench\": \"correlator_certain\", \"spans\": %.0f, \"linked\": %llu, \"spans_per_cpu_second\": %.0f}\n", spans,
      static_cast<unsigned long long>(null.linked), spans / took);
  return 0;
}

}  // namespace
}  // namespace wirespan

int main() {
  return wirespan::run(200'000);
}
