// Which processes are tried for queues of work, with a real interpreter and without a kernel side.
#include "agent/capture/python_deques.h"

#include <gtest/gtest.h>

#include <memory>

#include "agent/capture/testing/fake_runtime_kernel.h"
#include "agent/capture/testing/interpreter.h"

namespace wirespan {
namespace {

using testing::Interpreter;
using Role = event::Handover::Role;

constexpr std::uint32_t kServes = 7;
constexpr std::uint32_t kWorks = 8;
constexpr std::uint64_t kQueue = 0x7f00;
constexpr std::size_t kProbes = 2;  // into and out of deques

class PythonDequesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Interpreter::installed()) GTEST_SKIP() << "no python3 of 3.8 to 3.13";
  }
  void start(const char* statement) {
    python_ = std::make_unique<Interpreter>(statement);
    ASSERT_TRUE(python_->ready());
    LazyMaps maps(pid());
    deques_.found(pid(), now_, maps);
    after(0.1);
    EXPECT_TRUE(kernel_.attached.empty()) << "it is not used yet";
    deques_.used(pid());
  }
  [[nodiscard]] std::uint32_t pid() const { return python_->pid(); }
  void after(double seconds) {
    now_ = now_ + static_cast<std::int64_t>(seconds * 1e9);
    deques_.sweep(now_);
  }
  void moved(std::uint32_t tid, TcpSide side, Direction direction) {
    Connection conn;
    conn.side = side;
    event::Data data;
    data.conn = std::make_shared<Connection>(conn);
    data.direction = direction;
    data.actor.thread = {pid(), tid};
    deques_.moved(data);
  }
  void hand(Role role, std::uint32_t tid, std::uint64_t object) {
    event::Handover handover;
    handover.time = now_;
    handover.actor.thread = {pid(), tid};
    handover.role = role;
    handover.object = object;
    handover.place = kQueue;
    deques_.handed_over(handover);
  }
  void jobs(std::size_t count, Role gives = Role::kMayGive, Role takes = Role::kMayTake) {
    for (std::size_t i = 0; i < count; ++i) {
      moved(kServes, TcpSide::kPassive, Direction::kReceived);
      hand(gives, kServes, 0x100 + i);
      hand(takes, kWorks, 0x100 + i);
    }
  }

  std::unique_ptr<Interpreter> python_;
  testing::FakeRuntimeKernel kernel_;
  Counters counters_;
  PythonDeques deques_{kernel_, counters_};
  BootTime now_{1'000'000'000'000};
};

constexpr const char* kThreads =
    "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()";

TEST_F(PythonDequesTest, ThoseThatCarryWorkAreFollowed) {
  start(kThreads);
  ASSERT_EQ(kernel_.attached.size(), kProbes);
  EXPECT_NE(kernel_.deques[pid()].looks, 0U);
  jobs(8);
  EXPECT_EQ(kernel_.deques[pid()].followed[0], kQueue);
  EXPECT_EQ(kernel_.deques[pid()].takes_all, 0U);
  EXPECT_TRUE(deques_.take_watched().empty());
  for (int i = 0; i < 300; ++i) after(1);
  EXPECT_EQ(kernel_.attached.size(), kProbes);
  // The queue's address is now one of things that come back.
  for (std::size_t i = 0; i < 100; ++i) {
    hand(Role::kGives, kWorks, 0x200);
    hand(Role::kTakes, kWorks, 0x200);
  }
  EXPECT_EQ(kernel_.deques[pid()].followed[0], 0U);
  EXPECT_EQ(deques_.take_watched().size(), 1U) << "what it held is forgotten";
  deques_.exited(pid());
  EXPECT_TRUE(kernel_.attached.empty());
  EXPECT_TRUE(kernel_.deques.empty());
}

TEST_F(PythonDequesTest, WithoutAnyItIsLeftAloneUntilStrangersCall) {
  start(kThreads);
  ASSERT_EQ(kernel_.attached.size(), kProbes);
  for (int i = 0; i < 200; ++i) moved(kServes, TcpSide::kPassive, Direction::kReceived);
  after(11);
  EXPECT_TRUE(kernel_.attached.empty());
  moved(kServes, TcpSide::kPassive, Direction::kReceived);
  for (int i = 0; i < 100; ++i) moved(kServes, TcpSide::kActive, Direction::kSent);
  after(11);
  EXPECT_TRUE(kernel_.attached.empty()) << "who serves makes its calls itself";
  for (int i = 0; i < 100; ++i) moved(kWorks, TcpSide::kActive, Direction::kSent);
  after(1);
  EXPECT_EQ(kernel_.attached.size(), kProbes);
}

TEST_F(PythonDequesTest, OneThreadHandsNothingOver) {
  start("pass");
  EXPECT_TRUE(kernel_.attached.empty());
}

TEST_F(PythonDequesTest, PastSomeOperationsItIsLeftAlone) {
  start(kThreads);
  jobs(8);
  kernel_.deques[pid()].operations += 120'000;
  after(1);
  EXPECT_TRUE(kernel_.attached.empty());
  EXPECT_EQ(counters_.get("capture.python.deques_too_busy").value(), 1U);
}

TEST_F(PythonDequesTest, NotWhileItIsNotWanted) {
  start(kThreads);
  jobs(8);
  deques_.follow(false);
  after(1);
  EXPECT_TRUE(kernel_.attached.empty());
}

}  // namespace
}  // namespace wirespan
