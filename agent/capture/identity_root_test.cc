// Both ends of a connection must compute the same identity, whatever happened before the agent came. Needs root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <tuple>

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

struct TwoEnds {
  ConnectionPtr client;
  ConnectionPtr server;
};

// The two ends of the only connection, by the port the server listens on or by who was named.
std::optional<TwoEnds> two_ends(const Seen& seen) {
  const auto conns = seen.connections();
  if (conns.size() != 2) return std::nullopt;
  return TwoEnds{conns[0], conns[1]};
}

void expect_same_identity(const TwoEnds& ends) {
  EXPECT_TRUE(ends.client->has_base);
  EXPECT_TRUE(ends.server->has_base);
  EXPECT_EQ(ends.client->sent_base, ends.server->received_base);
  EXPECT_EQ(ends.client->received_base, ends.server->sent_base);
  EXPECT_NE(ends.client->sent_base, ends.client->received_base);
}

class TcpIdentity : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Families, TcpIdentity, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& p) { return p.param == AF_INET ? "IPv4" : "IPv6"; });

TEST_P(TcpIdentity, OfAFreshConnection) {
  Script script;
  script.after = [&] {
    const Ends ends = testing::tcp_pair(GetParam());
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    write_all(ends.server, "the response");
    read_exactly(ends.client, 12);
  };
  const Seen seen = trace(script);
  const auto ends = two_ends(seen);
  ASSERT_TRUE(ends);
  expect_same_identity(*ends);
  EXPECT_EQ(ends->client->side, TcpSide::kActive);
  EXPECT_EQ(ends->server->side, TcpSide::kPassive);
  EXPECT_FALSE(ends->client->adopted);
  EXPECT_FALSE(ends->server->adopted);
  EXPECT_EQ(ends->client->local, ends->server->remote);
  EXPECT_EQ(ends->client->remote, ends->server->local);
  EXPECT_EQ(seen.stream(ends->client->id, Direction::kSent), "request");
  EXPECT_EQ(seen.stream(ends->server->id, Direction::kReceived), "request");
  EXPECT_EQ(seen.stream(ends->server->id, Direction::kSent), "the response");
  EXPECT_EQ(seen.stream(ends->client->id, Direction::kReceived), "the response");
  for (const auto& d : seen.data) EXPECT_EQ(d.position, 0U);
  // Who connects is told before the connection stands, and again when both ends can be known.
  ASSERT_EQ(seen.opened.size(), seen.plan == Plan::kSyscalls ? 2U : 3U);
  EXPECT_NE(seen.opened[0].actor.thread.tid, 0U) << "who connected";
}

// A connection older than the agent: which side it is must come out of the socket alone.
TEST_P(TcpIdentity, OfAnOlderConnection) {
  Ends ends;
  Script script;
  script.before = [&] {
    ends = testing::tcp_pair(GetParam());
    write_all(ends.client, std::string(1000, 'a'));
    read_exactly(ends.server, 1000);
    write_all(ends.server, std::string(70'000, 'b'));
    read_exactly(ends.client, 70'000);
  };
  script.after = [&] {
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    write_all(ends.server, "response");
    read_exactly(ends.client, 8);
  };
  const Seen seen = trace(script);
  const auto conns = two_ends(seen);
  ASSERT_TRUE(conns);
  expect_same_identity(*conns);
  EXPECT_TRUE(conns->client->adopted);
  EXPECT_TRUE(conns->server->adopted);
  EXPECT_EQ(conns->client->side, TcpSide::kActive);
  EXPECT_EQ(conns->server->side, TcpSide::kPassive);
  for (const auto& d : seen.data) {
    const bool request = (d.conn == conns->client) == (d.direction == Direction::kSent);
    EXPECT_EQ(d.position, request ? 1000U : 70'000U);
  }
}

// First seen with data in flight that nobody has read yet.
TEST_P(TcpIdentity, OfAnOlderConnectionWithUnreadBytes) {
  Ends ends;
  Script script;
  script.before = [&] {
    ends = testing::tcp_pair(GetParam());
    write_all(ends.client, "earlier");
  };
  script.after = [&] {
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    read_exactly(ends.server, 7);
  };
  const Seen seen = trace(script);
  const auto conns = two_ends(seen);
  ASSERT_TRUE(conns);
  expect_same_identity(*conns);
  ASSERT_EQ(seen.data.size(), 3U);
  EXPECT_EQ(seen.data[0].position, 7U);
  EXPECT_EQ(seen.data[1].position, 0U);
  EXPECT_EQ(seen.data[1].captured, "earlier");
  EXPECT_EQ(seen.data[2].position, 7U);
  EXPECT_TRUE(conns->client->adopted) << "its first bytes were not seen";
  EXPECT_FALSE(conns->server->adopted) << "all its bytes were seen";
}

// connect() returns before the handshake is done: told at once, with the base before the first data.
TEST_P(TcpIdentity, OfANonBlockingConnect) {
  Script script;
  script.after = [&] {
    const Ends first = testing::tcp_pair(GetParam());
    write_all(first.client, "first");
    read_exactly(first.server, 5);
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    must(getsockname(first.listener, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    for (const int fd : {first.client, first.server}) close(fd);
    const int client = socket(GetParam(), SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int connected = connect(client, reinterpret_cast<sockaddr*>(&address), size);
    must(connected == 0 || errno == EINPROGRESS, "connect");
    const int server = accept(first.listener, nullptr, nullptr);
    pollfd writable{client, POLLOUT, 0};
    must(poll(&writable, 1, 5000) == 1, "poll");
    write_all(client, "request");
    read_exactly(server, 7);
  };
  const Seen seen = trace(script);
  auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 4U);
  const TwoEnds ends{conns[2], conns[3]};
  expect_same_identity(ends);
  EXPECT_EQ(ends.client->side, TcpSide::kActive);
  EXPECT_EQ(ends.client->local.port, ends.server->remote.port);
  EXPECT_EQ(seen.opened.size(), seen.plan == Plan::kSyscalls ? 4U : 6U);
}

class UnixIdentity : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Names, UnixIdentity, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "Path" : "Abstract"; });

TEST_P(UnixIdentity, OfAFreshConnection) {
  const std::string path = ::testing::TempDir() + "wirespan-" + std::to_string(getpid()) + ".sock";
  Script script;
  script.after = [&] {
    const Ends ends = testing::unix_pair(GetParam() ? path : "");
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    write_all(ends.server, "response");
    read_exactly(ends.client, 8);
    for (const int fd : {ends.client, ends.server}) close(fd);
  };
  const Seen seen = trace(script);
  std::filesystem::remove(path);
  const auto ends = two_ends(seen);
  ASSERT_TRUE(ends);
  expect_same_identity(*ends);
  EXPECT_EQ(ends->client->transport, Transport::kUnix);
  EXPECT_EQ(ends->client->side, TcpSide::kActive);
  EXPECT_EQ(ends->server->side, TcpSide::kPassive);
  EXPECT_EQ(ends->server->local.path, ends->client->remote.path);
  if (GetParam()) {
    EXPECT_EQ(ends->client->remote.path, path);
  } else {
    EXPECT_TRUE(ends->client->remote.path.starts_with("@wirespan-test-"));
  }
  EXPECT_EQ(seen.stream(ends->server->id, Direction::kReceived), "request");
  EXPECT_EQ(seen.stream(ends->client->id, Direction::kReceived), "response");
  // Without hooks on system calls the sweep finds it, perhaps after this has ended (Closing.* waits for it).
  if (seen.plan == Plan::kSyscalls) {
    EXPECT_EQ(seen.closed.size(), 2U);
  }
}

// The client's first write may come before the server's accept: it must find the same identity without its peer's
// inode.
TEST(UnixPairs, WhenTheClientWritesBeforeAccept) {
  Script script;
  script.after = [&] {
    const Ends first = testing::unix_pair("");
    write_all(first.client, "first");
    read_exactly(first.server, 5);
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    must(getsockname(first.listener, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    must(connect(client, reinterpret_cast<sockaddr*>(&address), size) == 0, "connect");
    write_all(client, "request");
    const int server = accept(first.listener, nullptr, nullptr);
    read_exactly(server, 7);
  };
  const auto conns = trace(script).connections();
  ASSERT_EQ(conns.size(), 4U);
  expect_same_identity({conns[2], conns[3]});
  EXPECT_NE(conns[2]->sent_base, conns[0]->sent_base);
}

TEST(UnixPairs, OfASocketpair) {
  Script script;
  script.after = [] {
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    write_all(pair[0], "request");
    read_exactly(pair[1], 7);
  };
  const auto ends = two_ends(trace(script));
  ASSERT_TRUE(ends);
  expect_same_identity(*ends);
}

// Nothing tells how much an older Unix connection has moved. By the plans on sockets all that it moves from now on is
// seen, so that both ends count from the same byte; by system calls there is no identity rather than a wrong one.
TEST(UnixPairs, OfAnOlderConnection) {
  Ends ends;
  Script script;
  script.before = [&] { ends = testing::unix_pair(""); };
  script.after = [&] {
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
  };
  const Seen seen = trace(script);
  const auto conns = two_ends(seen);
  ASSERT_TRUE(conns);
  if (seen.plan != Plan::kSyscalls) return expect_same_identity(*conns);
  for (const auto& conn : {conns->client, conns->server}) {
    EXPECT_TRUE(conn->adopted);
    EXPECT_FALSE(conn->has_base);
  }
}

}  // namespace
}  // namespace wirespan
