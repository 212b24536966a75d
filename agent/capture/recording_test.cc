#include "agent/capture/recording.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace wirespan {
namespace {

class Collect : public Sink<Event> {
 public:
  void accept(const Event& event) override {
    ++count;
    if (const auto* data = std::get_if<event::Data>(&event)) text += as_text(data->captured);
    if (const auto* process = std::get_if<event::Process>(&event)) last_process = *process;
  }
  int count = 0;
  std::string text;
  event::Process last_process;
};

class Recording : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "wirespan-recording-XXXXXX";
    const int fd = mkstemp(pattern.data());
    ASSERT_GE(fd, 0);
    close(fd);
    path = pattern;
  }
  void TearDown() override { unlink(path.c_str()); }

  void write_some() {
    auto writer = RecordingWriter::create(path, HostFacts{}, 12345, nullptr, counters);
    ASSERT_TRUE(writer);
    auto conn = std::make_shared<Connection>();
    conn->id = ConnId{7};
    conn->remote.path = "/run/x.sock";
    event::Process process;
    process.pid = 4;
    process.cmdline = {"java", "-jar", "x.jar"};
    process.listening = {80, 443};
    (*writer)->accept(process);
    (*writer)->accept(event::Opened{conn, {}});
    const std::string payload = "GET / HTTP/1.1\r\n\r\n";
    event::Data data;
    data.conn = conn;
    data.time = {1000};
    data.length = static_cast<std::uint32_t>(payload.size());
    data.captured = as_bytes(payload);
    (*writer)->accept(data);
    (*writer)->accept(event::Closed{conn, {2000}, event::Closed::How::kReset});
    (*writer)->accept(event::Tick{{3000}});
    ASSERT_TRUE((*writer)->close());
  }
  Collect replay() {
    Collect out;
    auto source = RecordingSource::open(path, counters);
    EXPECT_TRUE(source);
    const std::atomic<bool> stop{false};
    EXPECT_TRUE((*source)->run(out, stop));
    EXPECT_EQ((*source)->clock().to_wall({0}).ns, 12345U);
    return out;
  }
  std::string path;
  Counters counters;
};

TEST_F(Recording, GivesTheSameEventsToItsOwnerOnly) {
  write_some();
  const Collect out = replay();
  EXPECT_EQ(out.count, 5);
  EXPECT_EQ(out.text, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(out.last_process.cmdline.size(), 3U);
  EXPECT_EQ(out.last_process.listening, (std::vector<std::uint16_t>{80, 443}));
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(Recording, EveryCutAndEveryFlippedByteIsSurvived) {
  write_some();
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t i = 8; i < whole.size(); ++i) {
    for (const bool cut : {true, false}) {
      std::string bad = cut ? whole.substr(0, i) : whole;
      if (!cut) bad[i] = static_cast<char>(~bad[i]);
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bad;
      auto source = RecordingSource::open(path, counters);
      if (!source) continue;
      Collect out;
      const std::atomic<bool> stop{false};
      static_cast<void>((*source)->run(out, stop));
      EXPECT_LE(out.count, 5);
    }
  }
}

TEST_F(Recording, SomethingElseIsRefusedInWords) {
  std::ofstream(path) << "not a recording at all";
  const auto source = RecordingSource::open(path, counters);
  ASSERT_FALSE(source);
  EXPECT_NE(source.error().text().find("not a wirespan recording"), std::string::npos);
}

}  // namespace
}  // namespace wirespan
