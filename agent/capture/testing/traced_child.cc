#include "agent/capture/testing/traced_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace wirespan::testing {
namespace {

class Collector : public Sink<Event> {
 public:
  Collector(const Script& script, KernelSource& source) : script_(script), source_(source) {}

  void accept(const Event& event) override {
    script_.on_event(event, source_);
    if (const auto* data = std::get_if<event::Data>(&event)) {
      seen.data.push_back({data->conn, data->direction, data->time, data->actor, data->position, data->length,
                           std::string(as_text(data->captured)), std::string(as_text(data->tail))});
      event::Data without = *data;
      without.captured = {};
      without.tail = {};
      seen.events.emplace_back(std::move(without));
      return;
    }
    if (const auto* opened = std::get_if<event::Opened>(&event)) seen.opened.push_back(*opened);
    if (const auto* closed = std::get_if<event::Closed>(&event)) seen.closed.push_back(*closed);
    seen.events.push_back(event);
  }

  Seen seen;

 private:
  const Script& script_;
  KernelSource& source_;
};

[[noreturn]] void child_main(const Script& script, int ready, int go) {
  script.before();
  char byte = 0;
  must(write(ready, "r", 1) == 1, "say ready");
  must(read(go, &byte, 1) == 1, "wait for go");
  script.after();
  _exit(0);
}

}  // namespace

void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "child: %s: %s\n", what, std::strerror(errno));
  _exit(1);
}

Seen trace(const Script& script) {
  int ready[2];
  int go[2];
  if (pipe(ready) != 0 || pipe(go) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    for (const int fd : {ready[0], go[1]}) close(fd);  // else it would wait for itself
    child_main(script, ready[1], go[0]);
  }
  for (const int fd : {ready[1], go[0]}) close(fd);
  char byte = 0;
  const bool began = read(ready[0], &byte, 1) == 1;

  Counters counters;
  KernelOptions options;
  script.options(options, child);
  if (const char* wanted = std::getenv("WIRESPAN_TEST_PLAN")) {
    const std::string_view name = wanted;
    if (name != "perf") options.plan = Plan::kSyscalls;
    if (name.ends_with("perf"))
      options.follow.by_perf = true;
    else if (name != to_string(Plan::kSyscalls))
      options.prefer = name;
  }
  auto source = KernelSource::open(options, counters);
  EXPECT_TRUE(began);
  EXPECT_TRUE(source) << source.error().text();
  Seen seen;
  if (began && source) {
    Collector collector(script, **source);
    std::atomic<bool> stop{false};
    std::thread agent([&] {
      const Status ran = (*source)->run(collector, stop);
      EXPECT_TRUE(ran);
    });
    EXPECT_EQ(write(go[1], "g", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed: " << status;
    stop = true;  // run() reads what is still in the ring
    agent.join();
    seen = std::move(collector.seen);
    const auto programs = (*source)->plan();
    const bool sockets =
        std::any_of(programs.begin(), programs.end(), [](const auto& p) { return p.starts_with("receive:"); });
    seen.plan = sockets ? Plan::kSockets : Plan::kSyscalls;
  } else {
    close(go[1]);  // the child ends by itself
    waitpid(child, nullptr, 0);
    go[1] = -1;
  }
  for (const int fd : {ready[0], go[1]}) {
    if (fd >= 0) close(fd);
  }
  for (const auto& [name, value] : counters.snapshot()) {
    if (!name.starts_with("capture.lost.")) continue;
    if (value != 0) seen.lost[name] = value;
    if (!script.may_lose.contains(name)) {
      EXPECT_EQ(value, 0U) << name;
    }
  }
  return seen;
}

std::vector<ConnectionPtr> Seen::connections() const {
  std::vector<ConnectionPtr> out;
  const auto add = [&](const ConnectionPtr& conn) {
    if (std::find(out.begin(), out.end(), conn) == out.end()) out.push_back(conn);
  };
  for (const auto& o : opened) add(o.conn);
  for (const auto& d : data) add(d.conn);
  return out;
}

std::vector<SeenData> Seen::data_of(ConnId id, Direction direction) const {
  std::vector<SeenData> out;
  std::copy_if(data.begin(), data.end(), std::back_inserter(out),
               [&](const SeenData& d) { return d.conn->id == id && d.direction == direction; });
  return out;
}

std::string Seen::stream(ConnId id, Direction direction) const {
  std::string out;
  std::uint64_t at = 0;
  bool first = true;
  for (const SeenData& d : data_of(id, direction)) {
    if (!first && d.position != at) out += "<gap>";
    out += d.captured;
    std::size_t missing = d.length - d.captured.size();
    const std::size_t tail = std::min(missing, d.tail.size());
    missing -= tail;
    out.append(missing, '?');
    out += d.tail.substr(d.tail.size() - tail);
    at = d.position + d.length;
    first = false;
  }
  return out;
}

Ends tcp_pair(int family) {
  Ends ends;
  sockaddr_storage address{};
  socklen_t size = 0;
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size = sizeof(sockaddr_in);
  } else {
    reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    size = sizeof(sockaddr_in6);
  }
  auto* any = reinterpret_cast<sockaddr*>(&address);
  ends.listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(ends.listener, any, size) == 0 && listen(ends.listener, 8) == 0, "listen");
  must(getsockname(ends.listener, any, &size) == 0, "getsockname");
  ends.client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(connect(ends.client, any, size) == 0, "connect");
  ends.server = accept4(ends.listener, nullptr, nullptr, SOCK_CLOEXEC);
  must(ends.server >= 0, "accept");
  return ends;
}

Ends unix_pair(const std::string& path) {
  Ends ends;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = path.empty() ? std::string(1, '\0') + "wirespan-test-" + std::to_string(getpid()) : path;
  must(name.size() < sizeof(address.sun_path), "name fits");
  std::copy(name.begin(), name.end(), address.sun_path);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (path.empty() ? 0 : 1));
  const auto* any = reinterpret_cast<const sockaddr*>(&address);
  ends.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(ends.listener, any, size) == 0 && listen(ends.listener, 8) == 0, "listen");
  ends.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(connect(ends.client, any, size) == 0, "connect");
  ends.server = accept4(ends.listener, nullptr, nullptr, SOCK_CLOEXEC);
  must(ends.server >= 0, "accept");
  return ends;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    must(n > 0, "write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string read_exactly(int fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = read(fd, out.data() + have, size - have);
    must(n > 0, "read");
    have += static_cast<std::size_t>(n);
  }
  return out;
}

void Program::start(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& one : command) arguments.push_back(one.data());
  arguments.push_back(nullptr);
  int in[2];
  int out[2];
  must(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipes");
  child_ = fork();
  if (child_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  go_on_ = in[1];
  char ready = 0;
  must(read(out[0], &ready, 1) == 1, "start of the program");
}

void Program::finish() const {
  must(write(go_on_, "\n", 1) == 1, "word to the program");
  int status = 0;
  must(waitpid(child_, &status, 0) == child_ && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the program");
}

}  // namespace wirespan::testing
