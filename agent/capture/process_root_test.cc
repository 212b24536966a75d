// Who is traced: selectors, children, programs started later; and that nothing stays behind. Needs root.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
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

void talk() {
  const Ends ends = testing::tcp_pair(AF_INET);
  write_all(ends.client, "request");
  read_exactly(ends.server, 7);
}

pid_t forked(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  return child;
}

void wait_for(pid_t child) {
  int status = 0;
  must(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "child of the child");
}

std::set<std::uint32_t> who_moved_data(const Seen& seen) {
  std::set<std::uint32_t> out;
  for (const auto& d : seen.data) out.insert(d.actor.thread.pid);
  return out;
}

bool any_data(const Seen& seen) {
  return !seen.data.empty();
}

TEST(Selectors, ChildrenOfATargetAreTargets) {
  Script script;
  script.after = [] { wait_for(forked([] { wait_for(forked(talk)); })); };
  const Seen seen = trace(script);
  EXPECT_EQ(who_moved_data(seen).size(), 1U);
  const auto forks = seen.all<event::Forked>();
  ASSERT_EQ(forks.size(), 2U);
  EXPECT_EQ(forks[0].child.pid, forks[1].parent.pid);
  EXPECT_EQ(forks[1].child.pid, *who_moved_data(seen).begin());
  EXPECT_EQ(seen.all<event::ProcessExited>().size(), 3U);
}

TEST(Selectors, ChildrenThatAreThereAlready) {
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  pid_t older = 0;
  Script script;
  script.before = [&] {
    older = forked([&] {
      read_exactly(go[0], 1);
      talk();
    });
  };
  script.after = [&] {
    write_all(go[1], "g");
    wait_for(older);
  };
  EXPECT_TRUE(any_data(trace(script)));
  for (const int fd : go) close(fd);
}

TEST(Selectors, NobodyElseIsSeen) {
  Script script;
  script.options = [](KernelOptions& o, pid_t) {
    o.selectors.pids = {
        static_cast<std::uint32_t>(getpid())};  // the agent itself: never, and its children only if asked
  };
  script.after = talk;
  const Seen seen = trace(script);
  EXPECT_TRUE(seen.data.empty());
}

// The program starts after the agent, by a process that is not traced.
TEST(Selectors, AProgramByItsName) {
  const std::string program = ::testing::TempDir() + "wirespan-test-" + std::to_string(getpid());
  std::filesystem::copy_file(std::filesystem::read_symlink("/proc/self/exe"), program);
  Script script;
  script.options = [&](KernelOptions& o, pid_t) { o.selectors.exe_globs = {"wirespan-test-*"}; };
  script.after = [&] {
    wait_for(forked([&] { execl(program.c_str(), program.c_str(), nullptr); }));
    wait_for(forked(talk));
  };
  setenv("WIRESPAN_TEST_HELPER", "1", 1);
  const Seen seen = trace(script);
  unsetenv("WIRESPAN_TEST_HELPER");
  std::filesystem::remove(program);
  ASSERT_EQ(who_moved_data(seen).size(), 1U);
  const auto processes = seen.all<event::Process>();
  ASSERT_FALSE(processes.empty());
  EXPECT_EQ(processes.back().exe, program);
  EXPECT_EQ(processes.back().pid, *who_moved_data(seen).begin());
}

// Not a test: this program is also what AProgramByItsName starts, which then does only this.
[[maybe_unused]] const bool kIsHelper = [] {
  if (std::getenv("WIRESPAN_TEST_HELPER") == nullptr) return false;
  usleep(50'000);
  talk();
  _exit(0);
}();

TEST(Selectors, WhoeverListensOnAPort) {
  std::uint16_t port = 0;
  {
    const int probe = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    address.sin_family = AF_INET;
    ASSERT_EQ(bind(probe, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    close(probe);
  }
  Script script;
  script.options = [&](KernelOptions& o, pid_t) { o.selectors.ports = {port}; };
  script.after = [&] {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    must(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(listener, 1) == 0,
         "listen");
    usleep(100'000);  // a server's clients come after it listens
    talk();
  };
  const Seen seen = trace(script);
  EXPECT_TRUE(any_data(seen));
  ASSERT_FALSE(seen.all<event::Process>().empty());
  const auto last = seen.all<event::Process>().back();
  EXPECT_NE(std::find(last.listening.begin(), last.listening.end(), port), last.listening.end());
}

// A cgroup of the test's own, in whatever hierarchy the host has.
class Cgroup {
 public:
  Cgroup() {
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"}) {
      const std::string path = std::string(root) + "/wirespan-test-" + std::to_string(getpid());
      if (std::filesystem::exists(std::string(root) + "/cgroup.procs") && mkdir(path.c_str(), 0755) == 0) {
        path_ = path;
        return;
      }
    }
  }
  ~Cgroup() {
    if (!path_.empty()) rmdir(path_.c_str());
  }
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  void enter() const {
    std::ofstream procs(path_ + "/cgroup.procs");
    procs << getpid() << std::flush;
    must(procs.good(), "enter the cgroup");
  }

 private:
  std::string path_;
};

TEST(Selectors, MembersOfACgroupAndWhoEntersIt) {
  const Cgroup cgroup;
  if (cgroup.path().empty()) GTEST_SKIP() << "cannot make a cgroup here";
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  pid_t member = 0;
  Script script;
  script.options = [&](KernelOptions& o, pid_t) { o.selectors.cgroups = {cgroup.path()}; };
  script.before = [&] {
    member = forked([&] {
      cgroup.enter();
      read_exactly(go[0], 1);
      talk();
    });
    usleep(100'000);
  };
  script.after = [&] {
    write_all(go[1], "g");
    wait_for(member);
    wait_for(forked([&] {
      cgroup.enter();
      sleep(6);  // the sweep comes once a second, where it is slow every five
      talk();
    }));
    talk();  // not a member
  };
  const Seen seen = trace(script);
  for (const int fd : go) close(fd);
  EXPECT_EQ(who_moved_data(seen).size(), 2U);
}

TEST(Processes, FactsComeBeforeTheirData) {
  Script script;
  script.after = [] {
    wait_for(forked([] {
      setenv("OTEL_SERVICE_NAME", "shop", 1);
      setenv("SECRET", "not to be seen", 1);
      execlp("python3", "python3", "-c", "import socket; a,b=socket.socketpair(); a.send(b'hello'); b.recv(5)",
             nullptr);
    }));
  };
  const Seen seen = trace(script);
  ASSERT_FALSE(seen.data.empty());
  const std::uint32_t pid = seen.data[0].actor.thread.pid;
  const event::Process* facts = nullptr;
  for (const Event& e : seen.events) {
    if (const auto* process = std::get_if<event::Process>(&e); process != nullptr && process->pid == pid)
      facts = process;
    if (std::holds_alternative<event::Data>(e)) break;
  }
  ASSERT_NE(facts, nullptr);
  EXPECT_EQ(facts->runtime, "python");
  EXPECT_EQ(facts->otel_env, std::vector<std::string>{"OTEL_SERVICE_NAME=shop"});
  ASSERT_EQ(facts->cmdline.size(), 3U);
  EXPECT_EQ(facts->cmdline[1], "-c");
  EXPECT_EQ(facts->cwd, std::filesystem::current_path());
  EXPECT_FALSE(facts->exe.empty());
  EXPECT_FALSE(facts->cgroup.empty());
}

// The same socket, whoever holds it and by whatever descriptor.
TEST(Sockets, KeepTheirIdentityThroughDupForkAndPassing) {
  Script script;
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    write_all(ends.client, "a");
    write_all(dup(ends.client), "b");
    wait_for(forked([&] { write_all(ends.client, "c"); }));
    int channel[2];
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, channel) == 0, "socketpair");
    const pid_t other = forked([&] {
      for (const int fd : {ends.client, ends.server}) close(fd);
      char byte = 0;
      iovec part{&byte, 1};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      must(recvmsg(channel[1], &message, 0) == 1, "receive a descriptor");
      int fd = -1;
      std::copy_n(CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd), reinterpret_cast<unsigned char*>(&fd));
      write_all(fd, "d");
    });
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::copy_n(reinterpret_cast<const unsigned char*>(&ends.client), sizeof(int), CMSG_DATA(header));
    must(sendmsg(channel[0], &message, 0) == 1, "pass a descriptor");
    wait_for(other);
    read_exactly(ends.server, 4);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  EXPECT_EQ(seen.stream(conns[0]->id, Direction::kSent), "abcd");
  EXPECT_EQ(who_moved_data(seen).size(), 3U);
}

// No tracepoint tells the end of a Unix socket: exit closes it without a system call.
TEST(Sockets, OfAProcessThatIsGoneAreClosed) {
  int seen_closed[2];
  ASSERT_EQ(pipe(seen_closed), 0);
  int closed = 0;
  Script script;
  script.after = [&] {
    wait_for(forked([] {
      const Ends ends = testing::unix_pair("");
      write_all(ends.client, "request");
      read_exactly(ends.server, 7);
    }));
    alarm(60);
    read_exactly(seen_closed[0], 1);
  };
  script.on_event = [&](const Event& event, KernelSource&) {
    if (std::holds_alternative<event::Closed>(event) && ++closed == 2) write_all(seen_closed[1], "c");
  };
  const Seen seen = trace(script);
  for (const int fd : seen_closed) close(fd);
  EXPECT_EQ(seen.closed.size(), 2U);
}

std::set<std::uint32_t> programs_of(pid_t pid) {
  std::set<std::uint32_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
    std::ifstream info(entry.path());
    std::string key;
    while (info >> key) {
      std::uint32_t id = 0;
      if ((key == "prog_id:" || key == "map_id:") && info >> id) ids.insert(id);
    }
  }
  return ids;
}

TEST(Agent, KilledLeavesNothingInTheKernel) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t agent = forked([&] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Counters counters;
    KernelOptions options;
    const pid_t target = forked([] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      pause();
    });
    options.selectors.pids = {static_cast<std::uint32_t>(target)};
    const auto source = KernelSource::open(options, counters);
    must(static_cast<bool>(source), "open");
    write_all(ready[1], "r");
    pause();
  });
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  const auto ids = programs_of(agent);
  EXPECT_GT(ids.size(), 5U);
  kill(agent, SIGKILL);
  waitpid(agent, nullptr, 0);
  // The kernel frees programs after a grace period.
  const auto alive = [](std::uint32_t id) {
    const int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0) close(fd);
    return fd >= 0;
  };
  bool any = true;
  for (int tries = 0; any && tries < 100; ++tries) {
    any = std::any_of(ids.begin(), ids.end(), alive);
    if (any) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_FALSE(any);
}

}  // namespace
}  // namespace wirespan
