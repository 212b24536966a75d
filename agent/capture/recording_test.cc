#include "agent/capture/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/capture/recording_format.h"

namespace wirespan {
namespace {

using ::testing::HasSubstr;

class RecordingTest : public ::testing::Test {
 protected:
  RecordingTest() {
    std::string name = ::testing::TempDir() + "wirespan-recording-XXXXXX";
    const int fd = mkstemp(name.data());
    if (fd >= 0) close(fd);
    path_ = name;
  }
  ~RecordingTest() override { std::filesystem::remove(path_); }

  // Encodes what it is given: equal text, equal events, payload and connection included.
  struct Collector : Sink<Event> {
    void accept(const Event& event) override {
      std::visit(
          [&](const auto& e) {
            if constexpr (requires { e.conn; }) recording::encode_connection(text, *e.conn);
          },
          event);
      recording::encode_event(text, event);
      ++count;
    }
    std::string text;
    int count = 0;
  };

  static HostFacts host() { return {"box", "id-1", "boot-2", "arm64", "linux", "6.1.0", "0.1.0", "/system.slice/a"}; }

  static std::shared_ptr<Connection> connection() {
    auto conn = std::make_shared<Connection>();
    conn->id = ConnId{0x123456789abcdef0};
    conn->transport = Transport::kUnix;
    conn->side = TcpSide::kActive;
    conn->pid = 42;
    conn->local = {Address::Family::kIpv6, {0x20, 1, 0xd, 0xb8}, 8080, ""};
    conn->remote = {Address::Family::kUnix, {}, 0, "@abstract"};
    conn->opened = BootTime{7};
    return conn;
  }

  std::vector<Event> every_kind(const std::shared_ptr<Connection>& conn) {
    const Actor actor{{42, 43}, 5, 17, 16};
    event::Process process;
    process.time = BootTime{8};
    process.pid = 42;
    process.parent_pid = 1;
    process.started = BootTime{6};
    process.exe = "/usr/bin/x";
    process.comm = "x";
    process.cmdline = {"x", "", "--y"};
    process.cwd = "/";
    process.cgroup = "/a/b";
    process.otel_env = {"OTEL_SERVICE_NAME=z"};
    process.runtime = "go1.22.1";
    process.listening = {80, 65535};
    return {
        event::Opened{conn, actor},
        process,
        event::Data{conn, Direction::kSent, BootTime{9}, actor, 1ULL << 40U, 100, as_bytes("hello"), as_bytes("bye")},
        event::Wake{BootTime{10}, actor, {42, 44}, true},
        event::Handover{BootTime{10}, actor, event::Handover::Role::kAsks, 0x7f00, 0x7f10, 1, 2, 3, 0x400000,
                        event::Handover::Select::kAnotherDrawn},
        event::Leads{BootTime{10}, 42, ConnId{7}, ConnId{8}, 0, 0},
        event::Leads{BootTime{10}, 42, ConnId{7}, ConnId{}, 0, 43},
        event::Leads{BootTime{10}, 42, ConnId{7}, ConnId{}, 44, 0},
        event::Holds{BootTime{10}, {42, 43}, ConnId{7}, 5, 0xe0001230, 1, 2, {44}, {0xe0001230, 0xe0001258}},
        event::Async{BootTime{10}, 42, event::Async::Where::kResolves, ConnId{7}, 12, 11, 20, 3},
        event::Lineage{BootTime{10}, 42, kContextTask | 9, 2, {kContextTask | 8, kContextTask | 3}},
        event::Forked{BootTime{11}, {42, 43}, {50, 50}},
        event::Lost{BootTime{12}, "ringbuf_full", 3},
        event::Missed{BootTime{12}, {4, 5}},
        event::Closed{conn, BootTime{13}, event::Closed::How::kReset},
        event::ThreadExited{BootTime{14}, {42, 43}},
        event::ProcessExited{BootTime{15}, 42},
        event::Tick{BootTime{16}},
        event::Window{BootTime{17}, false, 0.125},
        event::Unanswered{BootTime{18}, ConnId{77}, 42},
        event::Counted{BootTime{19}, 42, TcpSide::kPassive, 10, 9, 5'000'000, {1, 2, 6}},
    };
  }

  std::string contents() {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void replace(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }

  Status replay(Sink<Event>& sink) {
    auto source = RecordingSource::open(path_, counters_);
    if (!source) return source.error();
    return (*source)->run(sink, stop_);
  }

  std::string path_;
  Counters counters_;
  std::atomic<bool> stop_{false};
};

TEST_F(RecordingTest, EveryKindOfEventComesBackAsItWas) {
  Collector live;
  {
    auto writer = RecordingWriter::create(path_, host(), &live, counters_);
    ASSERT_TRUE(writer);
    for (const Event& event : every_kind(connection())) (*writer)->accept(event);
    EXPECT_TRUE((*writer)->flush());
  }
  Collector replayed;
  EXPECT_TRUE(replay(replayed));
  EXPECT_EQ(replayed.count, 21);
  EXPECT_EQ(replayed.text, live.text);
}

TEST_F(RecordingTest, IsItsOwnersOnly) {
  std::filesystem::permissions(path_, std::filesystem::perms::all);
  auto writer = RecordingWriter::create(path_, host(), nullptr, counters_);
  ASSERT_TRUE(writer);
  struct stat info{};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(RecordingTest, ABaseFoundLaterIsReplayedBeforeTheFirstData) {
  Collector live;
  {
    auto writer = RecordingWriter::create(path_, host(), &live, counters_);
    ASSERT_TRUE(writer);
    const auto conn = connection();
    (*writer)->accept(event::Opened{conn, {}});
    conn->has_base = true;
    conn->sent_base = 77;
    (*writer)->accept(event::Data{conn, Direction::kSent, BootTime{9}, {}, 0, 1, {}, {}});
  }
  Collector replayed;
  EXPECT_TRUE(replay(replayed));
  EXPECT_EQ(replayed.text, live.text);
}

TEST_F(RecordingTest, WallTimesAreThoseOfTheRecording) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  std::string bytes = contents().substr(0, recording::kFileHeader);
  recording::encode_clock(bytes, 5'000'000'000);
  recording::encode_event(bytes, event::Tick{BootTime{123}});
  replace(bytes);
  auto source = RecordingSource::open(path_, counters_);
  ASSERT_TRUE(source);
  Collector sink;
  EXPECT_TRUE((*source)->run(sink, stop_));
  EXPECT_EQ((*source)->clock().now().ns, 123U);
  EXPECT_EQ((*source)->clock().to_wall(BootTime{123}).ns, 5'000'000'123U);
}

TEST_F(RecordingTest, TheHostIsThatOfTheRecording) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  const auto source = RecordingSource::open(path_, counters_);
  ASSERT_TRUE(source);
  ASSERT_TRUE((*source)->host());
  const HostFacts& read = *(*source)->host();
  const HostFacts written = host();
  EXPECT_EQ(read.name, written.name);
  EXPECT_EQ(read.id, written.id);
  EXPECT_EQ(read.boot_id, written.boot_id);
  EXPECT_EQ(read.arch, written.arch);
  EXPECT_EQ(read.os_type, written.os_type);
  EXPECT_EQ(read.kernel, written.kernel);
  EXPECT_EQ(read.agent_version, written.agent_version);
  EXPECT_EQ(read.agent_cgroup, written.agent_cgroup);
}

TEST_F(RecordingTest, RecordingsFromBeforeHostsWereKeptStillReplay) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  std::string bytes = contents().substr(0, recording::kFileHeader);
  recording::encode_clock(bytes, 5);
  recording::encode_event(bytes, event::Tick{BootTime{123}});
  replace(bytes);
  auto source = RecordingSource::open(path_, counters_);
  ASSERT_TRUE(source);
  EXPECT_FALSE((*source)->host());
  Collector sink;
  EXPECT_TRUE((*source)->run(sink, stop_));
  EXPECT_EQ(sink.count, 1);
}

TEST_F(RecordingTest, WhatANewerWriterAddsIsSkipped) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  std::string bytes = contents();
  const auto add = [&](std::uint16_t type, const std::string& body) {
    const std::size_t size = body.size() + 2;
    bytes += {static_cast<char>(size), 0, 0, 0, static_cast<char>(type), static_cast<char>(type >> 8U)};
    bytes += body;
  };
  add(999, "something new");
  add(static_cast<std::uint16_t>(recording::Type::kTick), std::string("\x10\0\0\0\0\0\0\0 and more", 17));
  replace(bytes);
  Collector replayed;
  EXPECT_TRUE(replay(replayed));
  EXPECT_EQ(replayed.count, 1);
  EXPECT_EQ(counters_.get("replay.unknown_records").value(), 1U);
}

TEST_F(RecordingTest, FieldsAnOlderWriterDidNotHaveKeepTheirDefaults) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  // A Process of a writer that knew nothing after `started`.
  std::string bytes = contents();
  bytes += {26, 0, 0, 0, static_cast<char>(recording::Type::kProcess), 0};
  bytes += std::string("\1\0\0\0\0\0\0\0\5\0\0\0\6\0\0\0\7\0\0\0\0\0\0\0", 24);
  replace(bytes);
  Collector replayed;
  EXPECT_TRUE(replay(replayed));
  EXPECT_EQ(replayed.count, 1);
}

TEST_F(RecordingTest, CutAnywhereItGivesTheEventsBeforeTheCut) {
  {
    auto writer = RecordingWriter::create(path_, host(), nullptr, counters_);
    ASSERT_TRUE(writer);
    for (const Event& event : every_kind(connection())) (*writer)->accept(event);
  }
  const std::string whole = contents();
  int last = 0;
  for (std::size_t size = recording::kFileHeader; size <= whole.size(); ++size) {
    replace(whole.substr(0, size));
    Collector replayed;
    EXPECT_TRUE(replay(replayed)) << size;
    EXPECT_GE(replayed.count, last) << size;
    last = replayed.count;
  }
  EXPECT_EQ(last, 21);
}

TEST_F(RecordingTest, RefusesWhatIsNotARecording) {
  replace("GET / HTTP/1.1\r\n\r\n");
  Collector sink;
  const Status status = replay(sink);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("not a wirespan recording"));
}

TEST_F(RecordingTest, AnImpossibleSizeIsDamageAndAllocatesNothing) {
  {
    ASSERT_TRUE(RecordingWriter::create(path_, host(), nullptr, counters_));
  }
  replace(contents() + std::string("\xff\xff\xff\xff\4\0", 6));
  Collector sink;
  const Status status = replay(sink);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("impossible record size"));
}

TEST_F(RecordingTest, AFullDiskEndsTheRecordingNotTheEvents) {
  Collector live;
  auto writer = RecordingWriter::create("/dev/full", host(), &live, counters_);
  if (!writer) GTEST_SKIP() << writer.error().text();
  for (const Event& event : every_kind(connection())) (*writer)->accept(event);
  EXPECT_FALSE((*writer)->flush());
  (*writer)->accept(event::Tick{BootTime{1}});
  EXPECT_EQ(live.count, 22);
  EXPECT_EQ(counters_.get("recording.lost").value(), 1U);
}

TEST_F(RecordingTest, StopsAtItsLimit) {
  Collector live;
  auto writer = RecordingWriter::create(path_, host(), &live, counters_, 1000);
  ASSERT_TRUE(writer);
  for (int i = 0; i < 1000; ++i) (*writer)->accept(event::Tick{BootTime{1}});
  EXPECT_FALSE((*writer)->status());
  EXPECT_LE(contents().size(), 1000U + 32U);
  EXPECT_EQ(live.count, 1000);
}

}  // namespace
}  // namespace wirespan
