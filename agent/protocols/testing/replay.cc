#include "agent/protocols/testing/replay.h"

#include <algorithm>
#include <tuple>

#include "agent/protocols/testing/exchange_json.h"

namespace wirespan::protocols::testing {
namespace {

// As capture describes connections: base sequence numbers that wrap within the conversation.
constexpr std::uint64_t kClientBase = 0xffffff80U;
constexpr std::uint64_t kServerBase = 1000;
constexpr std::size_t kTail = 16;

ConnectionPtr connection(std::uint32_t number, const ReplayOptions& options) {
  auto conn = std::make_shared<Connection>();
  const bool server = options.role == SpanRole::kServer;
  conn->id = ConnId{number};
  conn->side = options.adopted ? TcpSide::kUnknown : server ? TcpSide::kPassive : TcpSide::kActive;
  conn->adopted = options.adopted;
  conn->pid = server ? 100 : 200;
  conn->local.family = Address::Family::kIpv4;
  conn->local.ip = {127, 0, 0, 1};
  conn->local.port = server ? 8080 : 40000;
  conn->remote = conn->local;
  conn->remote.port = server ? 40000 : 8080;
  conn->received_base = server ? kClientBase : kServerBase;
  conn->sent_base = server ? kServerBase : kClientBase;
  conn->has_base = true;
  return conn;
}

BootTime at(std::uint64_t us) {
  return {us * 1000};
}

}  // namespace

void ExchangeLog::accept(const ExchangeItem& item) {
  const auto mistake = [&](const Exchange& e, const char* what) {
    mistakes_.push_back("exchange " + std::to_string(e.number) + " " + what);
  };
  if (const auto* opened = std::get_if<ExchangeOpened>(&item)) {
    const Exchange& e = *opened->exchange;
    if (!state_.emplace(e.number, false).second) mistake(e, "opened twice");
    if (e.request == nullptr) mistake(e, "has no request");
    return;
  }
  if (const auto* touched = std::get_if<ExchangeTouched>(&item)) {
    ++touches_;
    const Exchange& e = *touched->exchange;
    const auto found = state_.find(e.number);
    if (found == state_.end()) mistake(e, "touched before opened");
    if (found != state_.end() && found->second) mistake(e, "touched after finished");
    return;
  }
  const ExchangePtr& e = std::get<ExchangeFinished>(item).exchange;
  const auto found = state_.find(e->number);
  if (found == state_.end()) {
    mistake(*e, "finished before opened");
  } else if (std::exchange(found->second, true)) {
    mistake(*e, "finished twice");
  }
  finished_.push_back(e);
}

nlohmann::ordered_json Outcome::json() const {
  auto out = nlohmann::ordered_json::array();
  for (const ExchangePtr& exchange : exchanges) out.push_back(to_json(*exchange));
  return out;
}

bool same(const std::vector<ExchangePtr>& a, const std::vector<ExchangePtr>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ExchangePtr& x, const ExchangePtr& y) { return same(*x, *y); });
}

void ExchangeLog::clear() {
  finished_.clear();
  state_.clear();
  mistakes_.clear();
  touches_ = 0;
}

Outcome replay(const Recording& recording, const ReplayOptions& options) {
  Replayer replayer(options.protocol);
  Outcome out = replayer.run(recording, options);
  for (const auto& [name, value] : replayer.stages().counters.snapshot()) out.counters[name] = value;
  return out;
}

Outcome Replayer::run(const Recording& recording, const ReplayOptions& options) {
  Stages& stages = stages_;
  stages.log.clear();
  stages.verdicts.verdicts.clear();
  std::map<std::uint32_t, ConnectionPtr> connections;
  std::map<std::pair<std::uint32_t, bool>, std::uint64_t> positions;
  std::map<std::uint32_t, std::pair<bool, std::size_t>> turns;  // direction, bytes of it so far
  std::uint64_t last_us = 0;
  std::size_t index = 0;
  const auto deliver = [&](std::size_t call, const Event& event) {
    if (options.deliver) {
      options.deliver(call, event, stages.streams);
    } else {
      stages.streams.accept(event);
    }
  };
  for (const Call& call : recording) {
    const std::size_t call_index = index++;
    last_us = std::max(last_us, call.time_us);
    const bool data = call.kind == Call::Kind::kToServer || call.kind == Call::Kind::kToClient;
    const bool to_server = call.kind == Call::Kind::kToServer;
    std::uint64_t& position = positions[{call.connection, to_server}];
    if (call_index < options.from) {
      if (data) position += call.bytes.size();
      continue;
    }
    ConnectionPtr& conn = connections[call.connection];
    if (conn == nullptr) {
      conn = connection(call.connection, options);
      deliver(call_index, event::Opened{conn, {}});
    }
    if (!data) {
      event::Closed closed{conn, at(call.time_us), event::Closed::How::kClosed};
      if (call.kind == Call::Kind::kReset) closed.how = event::Closed::How::kReset;
      deliver(call_index, closed);
      continue;
    }
    std::vector<std::size_t> parts;
    if (options.split) parts = options.split(call_index, call.bytes.size());
    if (parts.empty()) parts.push_back(call.bytes.size());
    std::string_view rest = call.bytes;
    for (const std::size_t part : parts) {
      const std::string_view bytes = rest.substr(0, part);
      rest.remove_prefix(bytes.size());
      event::Data event;
      event.conn = conn;
      event.direction = to_server == (options.role == SpanRole::kServer) ? Direction::kReceived : Direction::kSent;
      event.time = at(call.time_us);
      event.actor.thread = {conn->pid, conn->pid + call.connection};
      event.position = position;
      event.length = static_cast<std::uint32_t>(bytes.size());
      auto& [turn_to_server, turn_bytes] = turns[call.connection];
      if (turn_to_server != to_server || !options.by_turn) turn_bytes = 0;
      turn_to_server = to_server;
      event.captured = as_bytes(bytes.substr(0, options.captured - std::min(options.captured, turn_bytes)));
      turn_bytes += bytes.size();
      if (event.captured.size() < bytes.size() && options.tail) {
        event.tail = as_bytes(bytes.substr(bytes.size() - std::min(kTail, bytes.size())));
      }
      position += bytes.size();
      deliver(call_index, event);
    }
  }
  stages.streams.accept(event::Tick{at(last_us + 10'000'000)});
  stages.pairer.finish(at(last_us + 10'000'000));

  Outcome out;
  out.exchanges = stages.log.finished();
  // In the order of requests: how early an end is noticed may depend on how the bytes came.
  const auto order = [](const ExchangePtr& e) {
    return std::make_tuple(e->conn->id, e->request->first_byte.time, e->request->position);
  };
  std::sort(out.exchanges.begin(), out.exchanges.end(),
            [&](const auto& a, const auto& b) { return order(a) < order(b); });
  out.mistakes = stages.log.mistakes();
  out.verdicts = stages.verdicts.verdicts;
  for (const auto& [number, conn] : connections) {
    stages.streams.accept(event::Closed{conn, at(last_us + 10'000'000), event::Closed::How::kClosed});
  }
  return out;
}

}  // namespace wirespan::protocols::testing
