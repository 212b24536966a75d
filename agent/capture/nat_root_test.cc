// Identity through DNAT and masquerade between network namespaces, where addresses and ports differ at both ends.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Ends;
using testing::must;
using testing::read_exactly;
using testing::Script;
using testing::trace;
using testing::write_all;

bool run(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// client 10.99.1.2 -- 10.99.1.1 router 10.99.2.1 -- server 10.99.2.2
class NatNetwork {
 public:
  NatNetwork() : suffix_(std::to_string(getpid())) {
    const std::string c = name("c");
    const std::string r = name("r");
    const std::string s = name("s");
    ok_ = true;
    for (const std::string& ns : {c, r, s}) step("ip netns add " + ns);
    wire(c, "1", "10.99.1.2", "10.99.1.1");
    wire(s, "2", "10.99.2.2", "10.99.2.1");
    for (const std::string& ns : {c, r, s}) step("ip -n " + ns + " link set lo up");
    step("ip -n " + c + " route add default via 10.99.1.1");
    step("ip -n " + s + " route add default via 10.99.2.1");
    step("ip netns exec " + r + " sysctl -w net.ipv4.ip_forward=1");
    step("ip netns exec " + r +
         " nft 'add table ip t; add chain ip t pre { type nat hook prerouting priority -100 ; };"
         " add chain ip t post { type nat hook postrouting priority 100 ; };"
         " add rule ip t pre ip daddr 10.99.1.1 tcp dport 80 dnat to 10.99.2.2:18080;"
         " add rule ip t post ip daddr 10.99.2.2 masquerade random'");
  }
  ~NatNetwork() {
    for (const char* ns : {"c", "r", "s"}) run("ip netns del " + name(ns));
  }
  NatNetwork(const NatNetwork&) = delete;
  NatNetwork& operator=(const NatNetwork&) = delete;

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string name(const std::string& role) const { return "ws" + role + suffix_; }

  // The calling thread's sockets are made in that namespace from here on.
  void enter(const std::string& role) const {
    const int fd = open(("/run/netns/" + name(role)).c_str(), O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && setns(fd, CLONE_NEWNET) == 0, "enter the namespace");
    close(fd);
  }

 private:
  void step(const std::string& command) { ok_ = ok_ && run(command); }
  void wire(const std::string& ns, const std::string& index, const std::string& inside, const std::string& router) {
    const std::string a = "w" + index + "a" + suffix_;
    const std::string b = "w" + index + "b" + suffix_;
    step("ip link add " + a + " netns " + ns + " type veth peer name " + b + " netns " + name("r"));
    step("ip -n " + ns + " addr add " + inside + "/24 dev " + a);
    step("ip -n " + name("r") + " addr add " + router + "/24 dev " + b);
    step("ip -n " + ns + " link set " + a + " up");
    step("ip -n " + name("r") + " link set " + b + " up");
  }

  std::string suffix_;
  bool ok_ = false;
};

sockaddr_in address(const char* ip, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, ip, &out.sin_addr);
  return out;
}

Ends connect_through(const NatNetwork& network) {
  Ends ends;
  const sockaddr_in here = address("10.99.2.2", 18080);
  const sockaddr_in there = address("10.99.1.1", 80);
  network.enter("s");
  ends.listener = socket(AF_INET, SOCK_STREAM, 0);
  must(bind(ends.listener, reinterpret_cast<const sockaddr*>(&here), sizeof(here)) == 0, "bind");
  must(listen(ends.listener, 1) == 0, "listen");
  network.enter("c");
  ends.client = socket(AF_INET, SOCK_STREAM, 0);
  must(connect(ends.client, reinterpret_cast<const sockaddr*>(&there), sizeof(there)) == 0,
       "connect through the router");
  ends.server = accept(ends.listener, nullptr, nullptr);
  must(ends.server >= 0, "accept");
  return ends;
}

class NatIdentity : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Age, NatIdentity, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "OlderThanTheAgent" : "Fresh"; });

TEST_P(NatIdentity, IsTheSameAtBothEnds) {
  const NatNetwork network;
  if (!network.ok()) GTEST_SKIP() << "network namespaces, veth or nftables are not available";
  const bool older = GetParam();
  Ends ends;
  Script script;
  if (older) {
    script.before = [&] {
      ends = connect_through(network);
      write_all(ends.client, "earlier");
      read_exactly(ends.server, 7);
    };
  }
  script.after = [&] {
    if (!older) ends = connect_through(network);
    write_all(ends.client, "request");
    read_exactly(ends.server, 7);
    write_all(ends.server, "response");
    read_exactly(ends.client, 8);
  };
  const auto conns = trace(script).connections();
  ASSERT_EQ(conns.size(), 2U);
  const bool client_first = conns[0]->side == TcpSide::kActive;
  const ConnectionPtr& client = conns[client_first ? 0 : 1];
  const ConnectionPtr& server = conns[client_first ? 1 : 0];
  EXPECT_EQ(client->remote.port, 80);
  EXPECT_EQ(server->local.port, 18080);
  EXPECT_NE(client->local.ip_text(), server->remote.ip_text());
  EXPECT_TRUE(client->has_base && server->has_base);
  EXPECT_EQ(client->sent_base, server->received_base);
  EXPECT_EQ(client->received_base, server->sent_base);
  EXPECT_EQ(client->adopted, older);
}

}  // namespace
}  // namespace wirespan
