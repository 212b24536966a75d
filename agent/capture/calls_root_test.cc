// Every system call that moves bytes of a stream socket, and what must not count as such. Needs root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Ends;
using testing::must;
using testing::read_exactly;
using testing::Script;
using testing::Seen;
using testing::trace;
using testing::write_all;

constexpr std::string_view kText = "the quick brown fox jumps over the lazy dog";

struct Call {
  const char* name;
  std::function<void(int fd)> moves_text;
  bool captured = true;
};

std::array<iovec, 3> in_three(const char* bytes) {
  auto* at = const_cast<char*>(bytes);
  return {iovec{at, 10}, iovec{at + 10, 20}, iovec{at + 30, kText.size() - 30}};
}

ssize_t full() {
  return static_cast<ssize_t>(kText.size());
}

const std::array kSending{
    Call{"write", [](int fd) { must(write(fd, kText.data(), kText.size()) == full(), "write"); }},
    Call{"send", [](int fd) { must(send(fd, kText.data(), kText.size(), MSG_NOSIGNAL) == full(), "send"); }},
    Call{"writev", [](int fd) { must(writev(fd, in_three(kText.data()).data(), 3) == full(), "writev"); }},
    Call{"pwritev2", [](int fd) { must(pwritev2(fd, in_three(kText.data()).data(), 3, -1, 0) == full(), "pwritev2"); }},
    Call{"sendmsg",
         [](int fd) {
           auto parts = in_three(kText.data());
           msghdr message{};
           message.msg_iov = parts.data();
           message.msg_iovlen = 3;
           must(sendmsg(fd, &message, 0) == full(), "sendmsg");
         }},
    Call{"sendmmsg",
         [](int fd) {
           auto parts = in_three(kText.data());
           std::array<mmsghdr, 2> messages{};
           messages[0].msg_hdr.msg_iov = parts.data();
           messages[0].msg_hdr.msg_iovlen = 2;
           messages[1].msg_hdr.msg_iov = &parts[2];
           messages[1].msg_hdr.msg_iovlen = 1;
           must(sendmmsg(fd, messages.data(), 2, 0) == 2, "sendmmsg");
         },
         false},
    Call{"sendfile",
         [](int fd) {
           const int file = memfd_create("text", 0);
           write_all(file, kText);
           off_t from = 0;
           must(sendfile(fd, file, &from, kText.size()) == full(), "sendfile");
         },
         false},
    Call{"splice",
         [](int fd) {
           int pipe_ends[2];
           must(pipe(pipe_ends) == 0, "pipe");
           write_all(pipe_ends[1], kText);
           must(splice(pipe_ends[0], nullptr, fd, nullptr, kText.size(), 0) == full(), "splice");
         },
         false},
};

const std::array kReceiving{
    Call{"read",
         [](int fd) {
           std::array<char, 500> to{};
           must(read(fd, to.data(), to.size()) == full(), "read");
         }},
    Call{"recv",
         [](int fd) {
           std::array<char, 500> to{};
           must(recv(fd, to.data(), to.size(), 0) == full(), "recv");
         }},
    Call{"readv",
         [](int fd) {
           std::array<char, 500> to{};
           must(readv(fd, in_three(to.data()).data(), 3) == full(), "readv");
         }},
    Call{"recvmsg",
         [](int fd) {
           std::array<char, 500> to{};
           auto parts = in_three(to.data());
           msghdr message{};
           message.msg_iov = parts.data();
           message.msg_iovlen = 3;
           must(recvmsg(fd, &message, 0) == full(), "recvmsg");
         }},
    Call{"recvmmsg",
         [](int fd) {
           std::array<char, 500> to{};
           iovec part{to.data(), to.size()};
           mmsghdr message{};
           message.msg_hdr.msg_iov = &part;
           message.msg_hdr.msg_iovlen = 1;
           must(recvmmsg(fd, &message, 1, 0, nullptr) == 1, "recvmmsg");
         }},
    Call{"peek first",
         [](int fd) {
           std::array<char, 500> to{};
           must(recv(fd, to.data(), to.size(), MSG_PEEK) == full(), "peek");
           must(recv(fd, to.data(), to.size(), MSG_PEEK) == full(), "peek");
           must(recv(fd, to.data(), to.size(), 0) == full(), "recv");
         }},
    Call{"discard", [](int fd) { must(recv(fd, nullptr, 500, MSG_TRUNC) == full(), "discard"); }, false},
    Call{"splice",
         [](int fd) {
           int pipe_ends[2];
           must(pipe(pipe_ends) == 0, "pipe");
           must(splice(fd, nullptr, pipe_ends[1], nullptr, 500, 0) == full(), "splice");
         },
         false},
};

class Calls : public ::testing::Test {
 protected:
  // Moves the text client -> server by these calls, both ends traced.
  Seen move(const Call& sending, const Call& receiving) {
    Script script;
    script.after = [&] {
      const Ends ends = testing::tcp_pair(AF_INET);
      write_all(ends.client, "begin");
      read_exactly(ends.server, 5);
      sending.moves_text(ends.client);
      receiving.moves_text(ends.server);
      write_all(ends.server, "end");  // a gap would show in what follows
      read_exactly(ends.client, 3);
      write_all(ends.client, "end");
      read_exactly(ends.server, 3);
    };
    return trace(script);
  }
  static void expect(const Seen& seen, std::size_t end, Direction direction, const Call& call) {
    const auto conns = seen.connections();
    ASSERT_EQ(conns.size(), 2U) << call.name;
    const auto data = seen.data_of(conns[end]->id, direction);
    ASSERT_FALSE(data.empty()) << call.name;
    std::uint64_t at = 0;
    for (const auto& d : data) {
      EXPECT_EQ(d.position, at) << call.name;
      at += d.length;
    }
    EXPECT_EQ(at, kText.size() + 8) << call.name;
    if (call.captured) {
      EXPECT_EQ(seen.stream(conns[end]->id, direction), "begin" + std::string(kText) + "end") << call.name;
    }
  }
};

TEST_F(Calls, Sending) {
  for (const Call& call : kSending) expect(move(call, kReceiving[0]), 0, Direction::kSent, call);
}

TEST_F(Calls, Receiving) {
  for (const Call& call : kReceiving) expect(move(kSending[0], call), 1, Direction::kReceived, call);
}

// The FIN takes a sequence number and the read that reaches it steps over it: not a lost byte.
TEST(Positions, OfTheLastBytesBeforeTheEnd) {
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    write_all(ends.server, "first ");
    write_all(ends.server, "last");
    close(ends.server);
    usleep(20'000);
    std::array<char, 100> to{};
    must(read(ends.client, to.data(), to.size()) == 10, "read");
    must(read(ends.client, to.data(), to.size()) == 0, "end");
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  const auto data = seen.data_of(conns[0]->id, Direction::kReceived);
  ASSERT_EQ(data.size(), 1U);
  EXPECT_EQ(data[0].position, 0U);
  EXPECT_EQ(data[0].captured, "first last");
}

TEST(Positions, ShowBytesMovedUnseenAsAGap) {
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    // Another process, which is no target's child for long enough to be seen, would do; MSG_OOB is simpler: one byte of
    // sequence space that no plain read returns.
    must(send(ends.client, "!", 1, MSG_OOB) == 1, "send out of band");
    write_all(ends.client, "again");
    read_exactly(ends.server, 5);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  EXPECT_EQ(seen.data_of(conns[1]->id, Direction::kReceived).back().position, 8U);
}

TEST(Turns, FirstBytesAreCopiedTheRestIsCounted) {
  constexpr std::size_t kTotal = 1U << 20U;
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    const pid_t reader = fork();
    if (reader == 0) {
      read_exactly(ends.server, kTotal);
      write_all(ends.server, "ok");
      _exit(0);
    }
    std::string body(kTotal, 'x');
    body.replace(body.size() - 16, 16, "0123456789abcdef");
    for (std::size_t at = 0; at < kTotal; at += 4096) write_all(ends.client, std::string_view(body).substr(at, 4096));
    read_exactly(ends.client, 2);
    waitpid(reader, nullptr, 0);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  for (const auto& [conn, direction] :
       {std::pair{conns[0], Direction::kSent}, std::pair{conns[1], Direction::kReceived}}) {
    std::uint64_t at = 0;
    std::uint64_t copied = 0;
    const auto data = seen.data_of(conn->id, direction);
    for (const auto& d : data) {
      EXPECT_EQ(d.position, at);
      at += d.length;
      copied += d.captured.size();
    }
    EXPECT_EQ(at, kTotal);
    EXPECT_EQ(copied, 1024U);
    EXPECT_LT(data.size(), 200U) << "continuing calls are told together";
    EXPECT_EQ(data.back().tail, "0123456789abcdef");
  }
}

// What moved after the last record is told although nothing follows on the connection: the child waits for it.
TEST(Turns, TheEndOfALongTurnIsToldWithoutFurtherTraffic) {
  int told_all[2];
  ASSERT_EQ(pipe(told_all), 0);
  std::uint64_t told = 0;
  Script script;
  script.after = [&] {
    const Ends ends = testing::tcp_pair(AF_INET);
    write_all(ends.client, std::string(1024, 'z'));  // exactly what is copied of a turn
    for (int i = 0; i < 8; ++i) write_all(ends.client, std::string(4000, static_cast<char>('a' + i)));
    alarm(30);
    read_exactly(told_all[0], 1);
  };
  script.on_event = [&](const Event& event, KernelSource&) {
    const auto* data = std::get_if<event::Data>(&event);
    if (data == nullptr) return;
    told += data->length;
    if (told == 33'024) write_all(told_all[1], "t");
  };
  const Seen seen = trace(script);
  for (const int fd : told_all) close(fd);
  ASSERT_FALSE(seen.data.empty());
  EXPECT_EQ(told, 33'024U);
  EXPECT_EQ(seen.data.back().tail, std::string(16, 'h'));
}

TEST(Verdicts, MoreCopiesWholeCallsIgnoreCopiesNothing) {
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    for (int i = 0; i < 3; ++i) {
      write_all(ends.client, std::string(8000, static_cast<char>('0' + i)));
      read_exactly(ends.server, 8000);
      write_all(ends.server, "ok");
      read_exactly(ends.client, 2);
      usleep(300'000);
    }
  };
  int answers = 0;
  script.on_event = [&](const Event& event, KernelSource& source) {
    const auto* data = std::get_if<event::Data>(&event);
    if (data == nullptr || data->direction != Direction::kReceived || data->length != 2) return;
    ++answers;
    source.set(data->conn->id, answers == 1 ? Verdict::kMore : Verdict::kIgnore);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  const auto sent = seen.data_of(conns[0]->id, Direction::kSent);
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].captured, std::string(1024, '0'));
  EXPECT_EQ(sent[1].captured, std::string(8000, '1'));
}

// A sender is never later than its receiver, whoever comes back from the kernel first.
TEST(Times, OfASenderAreNeverLaterThanItsReceivers) {
  constexpr int kRounds = 2000;
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    const pid_t echo = fork();
    if (echo == 0) {
      for (int i = 0; i < kRounds; ++i) write_all(ends.server, read_exactly(ends.server, 8));
      _exit(0);
    }
    for (int i = 0; i < kRounds; ++i) {
      write_all(ends.client, "12345678");
      read_exactly(ends.client, 8);
    }
    waitpid(echo, nullptr, 0);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto sent = seen.data_of(conns[i]->id, Direction::kSent);
    const auto received = seen.data_of(conns[1 - i]->id, Direction::kReceived);
    ASSERT_EQ(sent.size(), static_cast<std::size_t>(kRounds));
    ASSERT_EQ(received.size(), static_cast<std::size_t>(kRounds));
    for (std::size_t n = 0; n < sent.size(); ++n) EXPECT_LE(sent[n].time, received[n].time);
  }
}

// A server's thread waits for the next request while the agent starts: that request is seen whole, and only once.
TEST(Waiting, InACallThatBeganBeforeTheAgent) {
  Ends ends;
  std::thread waits;
  Script script;
  script.before = [&] {
    ends = testing::tcp_pair(AF_INET);
    std::atomic<pid_t> tid{0};
    waits = std::thread([&] {
      tid = gettid();
      for (const ssize_t size : {7, 5}) {
        std::array<char, 64> bytes{};
        must(recv(ends.server, bytes.data(), bytes.size(), 0) == size, "recv");
        write_all(ends.server, "response");
      }
    });
    const auto asleep = [&] {
      std::ifstream in("/proc/self/task/" + std::to_string(tid) + "/stat");
      std::string text;
      std::getline(in, text);
      return text.find(") S ") != std::string::npos;
    };
    while (tid == 0 || !asleep()) usleep(1'000);
  };
  script.after = [&] {
    for (const char* request : {"request", "again"}) {
      write_all(ends.client, request);
      read_exactly(ends.client, 8);
    }
    waits.join();
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  const auto server = conns[0]->side == TcpSide::kPassive ? conns[0] : conns[1];
  EXPECT_EQ(seen.stream(server->id, Direction::kReceived), "requestagain");
  EXPECT_EQ(seen.stream(server->id, Direction::kSent), "responseresponse");
}

TEST(Closing, ClosedByUsClosedByThemReset) {
  Script script;
  script.after = [] {
    for (int i = 0; i < 2; ++i) {
      const Ends ends = testing::tcp_pair(AF_INET);
      write_all(ends.client, "request");
      read_exactly(ends.server, 7);
      if (i == 1) {
        const linger now{1, 0};
        setsockopt(ends.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
      }
      close(ends.client);
      usleep(20'000);
      close(ends.server);
    }
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 4U);
  ASSERT_EQ(seen.closed.size(), 4U);
  using How = event::Closed::How;
  for (const auto& closed : seen.closed) EXPECT_EQ(closed.how, closed.conn == conns[3] ? How::kReset : How::kClosed);
}

// After shutdown(SHUT_WR) the process still reads: the connection is open until close().
TEST(Closing, HalfCloseIsNotTheEnd) {
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    write_all(ends.client, "request");
    must(shutdown(ends.client, SHUT_WR) == 0, "shutdown");
    read_exactly(ends.server, 7);
    write_all(ends.server, "response");
    close(ends.server);
    usleep(20'000);
    read_exactly(ends.client, 8);
    close(ends.client);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  EXPECT_EQ(seen.stream(conns[0]->id, Direction::kReceived), "response");
  EXPECT_EQ(seen.closed.size(), 2U);
}

}  // namespace
}  // namespace wirespan
