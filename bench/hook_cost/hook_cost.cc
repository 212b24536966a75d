// hook_cost: what one system call costs, ns, as the least of many batches (a noisy machine only ever adds).
// Run alone, then traced (wirespan trace --pid), then beside something traced: the differences are the price of the
// hooks for a target and for its neighbour. Prints one line: name=ns ...
//   hook_cost [--batches N] [--wait]      --wait: start when a line comes on stdin, so that tracing can begin before
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

namespace {

constexpr int kCalls = 200;

double least_ns(int batches, int calls_per_turn, const std::function<void()>& turn) {
  double least = 1e18;
  for (int b = 0; b < batches; ++b) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) turn();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    least = std::min(least, took.count() / kCalls / calls_per_turn);
  }
  return least;
}

struct Pair {
  int client = -1;
  int server = -1;
};

Pair tcp_pair() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  if (bind(listener, any, size) != 0 || listen(listener, 1) != 0 || getsockname(listener, any, &size) != 0)
    std::abort();
  Pair pair;
  pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(pair.client, any, size) != 0) std::abort();
  pair.server = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  const int one = 1;
  for (const int fd : {pair.client, pair.server}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  close(listener);
  return pair;
}

void check(ssize_t n, std::size_t wanted) {
  if (n != static_cast<ssize_t>(wanted)) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  int batches = 200;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--batches") == 0 && i + 1 < argc) batches = std::atoi(argv[++i]);
    if (std::strcmp(argv[i], "--wait") == 0 && getchar() == EOF) return 1;
  }
  const Pair tcp = tcp_pair();
  int files[2];
  if (pipe2(files, O_CLOEXEC) != 0) return 1;
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event ready{};
  fcntl(tcp.server, F_SETFL, O_NONBLOCK);

  std::array<char, 16384> buffer{};
  std::memset(buffer.data(), 'x', buffer.size());
  std::array<char, 16384> into{};
  const auto ping = [&](std::size_t size) {
    check(write(tcp.client, buffer.data(), size), size);
    check(read(tcp.server, into.data(), into.size()), size);
    check(write(tcp.server, buffer.data(), size), size);
    check(read(tcp.client, into.data(), into.size()), size);
  };
  const auto vector = [&] {
    iovec parts[2] = {{buffer.data(), 150}, {buffer.data(), 100}};
    check(writev(tcp.client, parts, 2), 250);
    check(recv(tcp.server, into.data(), into.size(), 0), 250);
    check(writev(tcp.server, parts, 2), 250);
    check(recv(tcp.client, into.data(), into.size(), 0), 250);
  };
  const auto stream = [&] {
    check(write(tcp.client, buffer.data(), 4096), 4096);
    check(read(tcp.server, into.data(), into.size()), 4096);
  };

  int unix_pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unix_pair) != 0) return 1;
  const auto unix_turn = [&](std::size_t size) {
    for (int from = 0; from < 2; ++from) {
      check(write(unix_pair[from], buffer.data(), size), size);
      check(read(unix_pair[1 - from], into.data(), into.size()), size);
    }
  };

  std::printf("getppid=%.1f", least_ns(batches, 1, [] { syscall(SYS_getppid); }));
  std::printf(" epoll_wait=%.1f", least_ns(batches, 1, [&] { epoll_wait(epoll, &ready, 1, 0); }));
  std::printf(" read_zero=%.1f", least_ns(batches, 1, [&] { check(read(zero, into.data(), 1), 1); }));
  std::printf(" read_nothing=%.1f", least_ns(batches, 1, [&] {
                if (read(tcp.server, into.data(), into.size()) >= 0) std::abort();
              }));
  std::printf(" pipe=%.1f", least_ns(batches, 2, [&] {
                check(write(files[1], buffer.data(), 100), 100);
                check(read(files[0], into.data(), into.size()), 100);
              }));
  std::printf(" unix_100=%.1f", least_ns(batches, 4, [&] { unix_turn(100); }));
  std::printf(" unix_1000=%.1f", least_ns(batches, 4, [&] { unix_turn(1000); }));
  std::printf(" turn_100=%.1f", least_ns(batches, 4, [&] { ping(100); }));
  std::printf(" turn_1000=%.1f", least_ns(batches, 4, [&] { ping(1000); }));
  std::printf(" turn_vector=%.1f", least_ns(batches, 4, vector));
  std::printf(" stream_4096=%.1f\n", least_ns(batches, 2, stream));
  return 0;
}
