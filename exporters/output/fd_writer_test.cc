#include "exporters/output/fd_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace wirespan {
namespace {

class TemporaryFile {
 public:
  TemporaryFile() { ::close(::mkstemp(path_.data())); }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string content() const {
    std::ifstream in(path_);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }

 private:
  std::string path_ = "/tmp/wirespan-fd-writer-XXXXXX";
};

TEST(FdWriter, EmptiesTheFileThenAppends) {
  const TemporaryFile file;
  std::ofstream(file.path()) << "old and long";
  auto writer = FdWriter::open(file.path());
  ASSERT_TRUE(writer);
  EXPECT_TRUE(writer->write("one\n"));
  EXPECT_TRUE(writer->write("two\n"));
  EXPECT_EQ(file.content(), "one\ntwo\n");
}

TEST(FdWriter, SaysWhichFileCannotBeOpened) {
  const auto writer = FdWriter::open("/nonexistent/spans.json");
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ENOENT);
  EXPECT_NE(writer.error().text().find("/nonexistent/spans.json"), std::string::npos);
}

// The size limit of a file fails in the middle of a write, as a full disk does.
TEST(FdWriter, ALineThatDidNotFitIsTakenBackAndTheNextOneIsWhole) {
  const TemporaryFile file;
  auto writer = FdWriter::open(file.path());
  ASSERT_TRUE(writer);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 100;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_TRUE(writer->write("first\n"));
  const Status full = writer->write(std::string(200, 'x') + "\n");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, EFBIG);
  EXPECT_TRUE(writer->write("second\n"));
  EXPECT_EQ(file.content(), "first\nsecond\n");
}

TEST(FdWriter, ADiskThatIsFullFromTheStartIsAnErrorEachTime) {
  auto writer = FdWriter::open("/dev/full");
  ASSERT_TRUE(writer);
  for (int i = 0; i < 3; ++i) {
    const Status status = writer->write("line\n");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ENOSPC);
  }
}

TEST(FdWriter, AReaderThatDoesNotReadCanBeLeftBehind) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  auto writer = FdWriter::borrow(ends[1]);
  ASSERT_TRUE(writer);
  Status status;
  std::thread thread([&] { status = writer->write(std::string(1U << 20U, 'x') + "\n"); });
  // The pipe holds 64 KiB; then the thread waits.
  std::array<char, 16> some{};
  ASSERT_EQ(::read(ends[0], some.data(), some.size()), 16);
  writer->interrupt();
  thread.join();
  EXPECT_FALSE(status);
  EXPECT_FALSE(writer->write("later\n")) << "stays interrupted";
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(FdWriter, ALongLineGoesThroughAPipeWhole) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  auto writer = FdWriter::borrow(ends[1]);
  ASSERT_TRUE(writer);
  const std::string line = std::string(300'001, 'x') + "\n";
  Status status;
  std::thread thread([&] {
    status = writer->write(line);
    ::close(ends[1]);
  });
  std::string got;
  std::array<char, 5000> buffer{};
  for (ssize_t count = 0; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    got.append(buffer.data(), static_cast<std::size_t>(count));
  }
  thread.join();
  EXPECT_TRUE(status);
  EXPECT_EQ(got, line);
  ::close(ends[0]);
}

}  // namespace
}  // namespace wirespan
