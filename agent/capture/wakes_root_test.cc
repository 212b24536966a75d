// Threads that wake each other: told once others than those that read requests make calls. Needs root.
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <ctime>
#include <map>
#include <thread>
#include <utility>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Ends;
using testing::read_exactly;
using testing::Script;
using testing::Seen;
using testing::trace;
using testing::write_all;

using Word = std::atomic<int>;

void sleep_on(Word& word, int value) {
  while (word == value) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake(Word& word, int value) {
  word = value;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

std::atomic<Word*> words_of_workers[2];
Word everybodys;

// Makes a call each time it is woken; on a word of its own stack or one that all may know.
void work(int number, bool alone) {
  const Ends call = testing::tcp_pair(AF_INET);
  // Whoever reads what a worker calls is no worker.
  std::thread backend([&call] {
    char bytes[4];
    while (read(call.server, bytes, sizeof(bytes)) > 0) continue;
  });
  Word own = 0;
  Word& word = alone ? own : everybodys;
  words_of_workers[number] = &word;
  for (int round = 0;; ++round) {
    sleep_on(word, round);
    if (word < 0) break;
    write_all(call.client, "call");
  }
  close(call.client);
  backend.join();
}

void serve() {
  std::thread alone([] { work(0, true); });
  std::thread with_others([] { work(1, false); });
  while (words_of_workers[0] == nullptr || words_of_workers[1] == nullptr) std::this_thread::yield();
  const Ends requests = testing::tcp_pair(AF_INET);
  const timespec moment{0, 3'000'000};
  for (int round = 1; round <= 300; ++round) {
    write_all(requests.client, "request");
    read_exactly(requests.server, 7);
    for (auto& word : words_of_workers) wake(*word.load(), round);
    nanosleep(&moment, nullptr);
    write_all(requests.server, "answer");
    read_exactly(requests.client, 6);
  }
  for (auto& word : words_of_workers) wake(*word.load(), -1);
  alone.join();
  with_others.join();
}

TEST(Wakes, WhoWaitsForAWordOfItsOwnStackIsSaidToWaitAlone) {
  Script script;
  script.after = serve;
  const Seen seen = trace(script);
  std::map<std::uint32_t, std::pair<int, int>> of_wakee;  // how often alone, and how often not
  for (const auto& w : seen.all<event::Wake>())
    ++(w.alone ? of_wakee[w.wakee.tid].first : of_wakee[w.wakee.tid].second);
  int always = 0;
  int never = 0;
  for (const auto& [tid, times] : of_wakee) {
    always += times.first > 20 && times.second == 0 ? 1 : 0;
    never += times.second > 20 && times.first == 0 ? 1 : 0;
  }
  EXPECT_EQ(always, 1);
  EXPECT_EQ(never, 1);
}

}  // namespace
}  // namespace wirespan
