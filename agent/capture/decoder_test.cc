#include "agent/capture/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace wirespan {
namespace {

struct Collector : Sink<Event> {
  void accept(const Event& event) override {
    events.push_back(event);
    if (const auto* data = std::get_if<event::Data>(&event)) {
      captured = as_text(data->captured);
      tail = as_text(data->tail);
    }
  }
  std::vector<Event> events;
  std::string captured;
  std::string tail;
};

struct Watcher : ProcessWatcher {
  void forked(std::uint32_t, std::uint32_t, BootTime) override {}
  void executed(std::uint32_t, std::uint32_t, bool, std::string_view comm, BootTime) override { seen = comm; }
  void exited(std::uint32_t, BootTime) override {}
  void listening(std::uint32_t, std::uint16_t, bool, BootTime) override {}
  void active(std::uint32_t pid, BootTime) override { seen = std::to_string(pid); }
  std::string seen;
};

class DecoderTest : public ::testing::Test {
 protected:
  template <class Record>
  void feed(const Record& record, std::string_view after = {}) {
    std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
    bytes += after;
    decoder_.decode(as_bytes(bytes), sink_);
  }
  static ws_ev_opened opened(std::uint8_t family) {
    ws_ev_opened ev{};
    ev.h.type = WS_EV_OPENED;
    ev.h.pid = 7;
    ev.conn = 5;
    ev.family = family;
    ev.has_base = 1;
    return ev;
  }
  static ws_ev_data data() {
    ws_ev_data ev{};
    ev.h.type = WS_EV_DATA;
    ev.conn = 5;
    return ev;
  }
  const Connection& connection() { return *conns_.find(ConnId{5})->conn; }

  Counters counters_;
  ConnTable conns_;
  Watcher watcher_;
  Collector sink_;
  Decoder decoder_{conns_, watcher_, counters_, 99};
};

TEST_F(DecoderTest, AnIpv4PeerOfADualStackSocketIsIpv4) {
  ws_ev_opened ev = opened(WS_FAMILY_IPV6);
  const std::uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  std::copy_n(mapped, 16, ev.remote_ip);
  ev.remote_port = 443;
  ev.local_ip[15] = 1;
  feed(ev);
  EXPECT_EQ(connection().remote.ip_text(), "10.1.2.3");
  EXPECT_EQ(connection().remote.family, Address::Family::kIpv4);
  EXPECT_EQ(connection().local.ip_text(), "::1");
}

TEST_F(DecoderTest, BothEndsOfAUnixConnectionGetTheSameBases) {
  ws_ev_opened client = opened(WS_FAMILY_UNIX);
  client.inode = 100;
  client.remote_path_size = 2;
  ws_ev_opened server = opened(WS_FAMILY_UNIX);
  server.conn = 6;
  server.inode = 90;
  server.peer_inode = 100;
  server.local_path_size = 2;
  feed(client);
  feed(server);
  const Connection& other = *conns_.find(ConnId{6})->conn;
  EXPECT_TRUE(connection().has_base && other.has_base);
  EXPECT_EQ(connection().sent_base, other.received_base);
  EXPECT_EQ(connection().received_base, other.sent_base);
}

TEST_F(DecoderTest, AUnixServerWhoseClientIsGoneHasNoBase) {
  ws_ev_opened server = opened(WS_FAMILY_UNIX);
  server.inode = 90;
  server.local_path_size = 2;
  feed(server);
  EXPECT_FALSE(connection().has_base);
}

TEST_F(DecoderTest, AbstractNamesBeginWithAnAt) {
  ws_ev_opened ev = opened(WS_FAMILY_UNIX);
  std::memcpy(ev.remote_path, "\0name", 5);
  ev.remote_path_size = 5;
  std::memcpy(ev.local_path, "/run/x\0rest", 11);
  ev.local_path_size = 11;
  feed(ev);
  EXPECT_EQ(connection().remote.path, "@name");
  EXPECT_EQ(connection().local.path, "/run/x");
}

TEST_F(DecoderTest, ToldTwiceItIsOneConnectionWithTheLaterBase) {
  ws_ev_opened ev = opened(WS_FAMILY_IPV4);
  ev.has_base = 0;
  ev.opened = 50;
  feed(ev);
  const auto conn = conns_.find(ConnId{5})->conn;
  ev.has_base = 1;
  ev.sent_base = 1234;
  feed(ev);
  // The second time for those who look for its other end by the base.
  EXPECT_EQ(sink_.events.size(), 2U);
  EXPECT_EQ(conns_.find(ConnId{5})->conn, conn);
  EXPECT_EQ(conn->sent_base, 1234U);
  EXPECT_EQ(conn->opened.ns, 50U);
}

TEST_F(DecoderTest, DataPointsIntoItsRecord) {
  feed(opened(WS_FAMILY_IPV4));
  ws_ev_data ev = data();
  ev.direction = WS_SENT;
  ev.length = 100;
  ev.captured = 5;
  ev.tail_size = 3;
  std::memcpy(ev.tail, "end", 3);
  feed(ev, "hello");
  EXPECT_EQ(sink_.captured, "hello");
  EXPECT_EQ(sink_.tail, "end");
  EXPECT_EQ(std::get<event::Data>(sink_.events.back()).direction, Direction::kSent);
}

TEST_F(DecoderTest, LengthsThatCannotBeAreRefused) {
  feed(opened(WS_FAMILY_IPV4));
  sink_.events.clear();
  ws_ev_data ev = data();
  ev.length = 1000;
  ev.captured = 1000;
  feed(ev, "short");
  EXPECT_TRUE(sink_.events.empty());
  EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), 1U);
  // More captured than moved, or a tail longer than there is room for: the rest is ignored.
  ev.length = 3;
  ev.captured = 5;
  ev.tail_size = 200;
  feed(ev, "hello");
  EXPECT_EQ(sink_.captured, "hel");
  EXPECT_EQ(sink_.tail, "");
}

TEST_F(DecoderTest, EveryRecordCutShortOrUnknownIsCountedAndSkipped) {
  std::uint64_t expected = 0;
  for (std::uint8_t type = 0; type < 20; ++type) {
    for (std::size_t size = 0; size < 24; ++size) {
      std::string bytes(size, '\0');
      if (size > 0) bytes[0] = static_cast<char>(type);
      const std::size_t before = sink_.events.size();
      decoder_.decode(as_bytes(bytes), sink_);
      if (sink_.events.size() == before) ++expected;
    }
  }
  EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), expected);
}

TEST_F(DecoderTest, DataOfAConnectionNobodyToldOfIsCounted) {
  feed(data());
  EXPECT_TRUE(sink_.events.empty());
  EXPECT_EQ(counters_.get("capture.lost.unknown_connection").value(), 1U);
}

TEST_F(DecoderTest, LineageHasAsManyAncestorsAsItSays) {
  ws_ev_lineage ev{};
  ev.h.type = WS_EV_LINEAGE;
  ev.h.pid = 7;
  ev.task = WS_TASK_CONTEXT | 30;
  ev.count = 2;
  ev.ancestors[0] = WS_TASK_CONTEXT | 20;
  ev.ancestors[1] = WS_TASK_CONTEXT | 10;
  ev.ancestors[2] = 99;
  feed(ev);
  const auto& lineage = std::get<event::Lineage>(sink_.events.back());
  EXPECT_EQ(lineage.pid, 7U);
  EXPECT_TRUE(is_context(lineage.task));
  EXPECT_EQ(born(lineage.task), BootTime{30});
  EXPECT_EQ(lineage.count, 2U);
  EXPECT_EQ(born(lineage.ancestors[1]), BootTime{10});
  EXPECT_EQ(lineage.ancestors[2], 0U);
  ev.count = WS_ANCESTORS + 1;
  feed(ev);
  EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), 1U);
}

TEST_F(DecoderTest, HandoversSayWhoGaveAndWhoTook) {
  using Role = event::Handover::Role;
  ws_ev_handover ev{};
  ev.h.type = WS_EV_HANDOVER;
  ev.h.pid = 7;
  ev.h.time = 30;
  ev.tid = 8;
  ev.role = WS_GIVES;
  ev.object = 0x10;
  ev.place = 0x20;
  ev.task = WS_TASK_CONTEXT | 5;
  ev.queued = 3;  // the giver's turn
  feed(ev);
  const auto gives = std::get<event::Handover>(sink_.events.back());
  EXPECT_EQ(gives.role, Role::kGives);
  EXPECT_EQ(gives.actor.thread, (ThreadRef{7, 8}));
  EXPECT_EQ(gives.actor.loop, 3U);
  EXPECT_EQ(gives.actor.task, kContextTask | 5);
  EXPECT_EQ(gives.object, 0x10U);
  EXPECT_EQ(gives.place, 0x20U);
  EXPECT_EQ(gives.queued, 0U);
  ev.role = WS_TAKES;
  feed(ev);
  EXPECT_EQ(std::get<event::Handover>(sink_.events.back()).role, Role::kTakes);
  ev.role = WS_MAY_TAKE;
  feed(ev);
  EXPECT_EQ(std::get<event::Handover>(sink_.events.back()).role, Role::kMayTake);
  EXPECT_EQ(std::get<event::Handover>(sink_.events.back()).place, 0x20U);
  ev.role = WS_ASKS;
  ev.queued = 3;
  ev.site = 0x400000;
  ev.select_case = WS_ANOTHER_CASE;
  feed(ev);
  const auto asks = std::get<event::Handover>(sink_.events.back());
  EXPECT_EQ(asks.role, Role::kAsks);
  EXPECT_EQ(asks.actor.loop, 0U);
  EXPECT_EQ(asks.queued, 3U);
  EXPECT_EQ(asks.site, 0x400000U);
  EXPECT_EQ(asks.select, event::Handover::Select::kAnother);
  ev.role = WS_BEGINS;
  feed(ev);
  EXPECT_EQ(std::get<event::Handover>(sink_.events.back()).role, Role::kSpawns);
  ev.role = WS_BEGINS + 1;
  feed(ev);
  EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), 1U);
}

TEST_F(DecoderTest, AsyncIdsAreWholeNumbers) {
  ws_ev_async ev{};
  ev.h.type = WS_EV_ASYNC;
  ev.h.pid = 7;
  ev.where = WS_ASYNC_RESOLVES;
  ev.execution = std::bit_cast<std::uint64_t>(12.0);
  ev.given = std::bit_cast<std::uint64_t>(9007199254740991.0);
  ev.sequence = 3;
  feed(ev);
  const auto& async = std::get<event::Async>(sink_.events.back());
  EXPECT_EQ(async.where, event::Async::Where::kResolves);
  EXPECT_EQ(async.execution, 12U);
  EXPECT_EQ(async.trigger, 0U);
  EXPECT_EQ(async.given, 9007199254740991U);
  std::uint64_t malformed = 0;
  for (const double value : {0.5, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
    ev.trigger = std::bit_cast<std::uint64_t>(value);
    feed(ev);
    EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), ++malformed) << value;
  }
  ev.trigger = 0;
  ev.where = WS_ASYNC_SETS + 1;
  feed(ev);
  EXPECT_EQ(counters_.get("capture.lost.malformed_record").value(), ++malformed);
}

TEST_F(DecoderTest, CommandNamesNeedNoEnd) {
  ws_ev_exec ev{};
  ev.h.type = WS_EV_EXEC;
  std::fill_n(ev.comm, sizeof(ev.comm), std::uint8_t{'x'});
  feed(ev);
  EXPECT_EQ(watcher_.seen, std::string(16, 'x'));
}

}  // namespace
}  // namespace wirespan
