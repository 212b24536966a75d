// io_uring: no system call names its buffers, so bytes are counted and not copied, and it is said so. Needs root.
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

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

// One operation at a time, by the bare interface: liburing is not everywhere.
class Ring {
 public:
  explicit Ring(int fd) : fd_(fd) {}
  static int setup(io_uring_params& params) { return static_cast<int>(syscall(SYS_io_uring_setup, 4, &params)); }
  void map(const io_uring_params& params) {
    const std::size_t size = std::max<std::size_t>(params.sq_off.array + params.sq_entries * sizeof(unsigned),
                                                   params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
    auto* rings = static_cast<char*>(mapped(size, IORING_OFF_SQ_RING));
    sqes_ = static_cast<io_uring_sqe*>(mapped(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    const auto at = [&](unsigned offset) { return reinterpret_cast<unsigned*>(rings + offset); };
    tail_ = at(params.sq_off.tail);
    array_ = at(params.sq_off.array);
    mask_ = *at(params.sq_off.ring_mask);
    done_head_ = at(params.cq_off.head);
    done_mask_ = *at(params.cq_off.ring_mask);
    done_ = reinterpret_cast<io_uring_cqe*>(rings + params.cq_off.cqes);
  }
  int run(std::uint8_t operation, int fd, void* bytes, unsigned size) {
    const unsigned slot = *tail_ & mask_;
    sqes_[slot] = io_uring_sqe{};
    sqes_[slot].opcode = operation;
    sqes_[slot].fd = fd;
    sqes_[slot].addr = reinterpret_cast<std::uint64_t>(bytes);
    sqes_[slot].len = size;
    array_[slot] = slot;
    std::atomic_ref(*tail_).store(*tail_ + 1, std::memory_order_release);
    must(syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == 1, "io_uring_enter");
    const int result = done_[*done_head_ & done_mask_].res;
    std::atomic_ref(*done_head_).store(*done_head_ + 1, std::memory_order_release);
    return result;
  }

 private:
  void* mapped(std::size_t size, std::uint64_t offset) const {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(offset));
    must(at != MAP_FAILED, "map a ring");
    return at;
  }

  int fd_;
  io_uring_sqe* sqes_ = nullptr;
  io_uring_cqe* done_ = nullptr;
  unsigned* tail_ = nullptr;
  unsigned* array_ = nullptr;
  unsigned* done_head_ = nullptr;
  unsigned mask_ = 0;
  unsigned done_mask_ = 0;
};

TEST(IoUring, BytesAreCountedAndSaidToBeUnread) {
  io_uring_params probe{};
  const int allowed = Ring::setup(probe);
  if (allowed < 0) GTEST_SKIP() << "no io_uring here";
  close(allowed);
  Script script;
  script.may_lose = {"capture.lost.ring_payload"};
  script.after = [] {
    const Ends ends = testing::tcp_pair(AF_INET);
    io_uring_params params{};
    Ring ring(Ring::setup(params));
    ring.map(params);
    std::array<char, 8> bytes{'r', 'e', 'q', 'u', 'e', 's', 't', '!'};
    must(ring.run(IORING_OP_SEND, ends.client, bytes.data(), 8) == 8, "send");
    must(ring.run(IORING_OP_RECV, ends.server, bytes.data(), 8) == 8, "receive");
    write_all(ends.server, "response");
    read_exactly(ends.client, 8);
    write_all(ends.client, "again");
    read_exactly(ends.server, 5);
  };
  const Seen seen = trace(script);
  const auto conns = seen.connections();
  ASSERT_EQ(conns.size(), 2U);
  const auto sent = seen.data_of(conns[0]->id, Direction::kSent);
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().position, 8U) << "no position is lost";
  EXPECT_EQ(sent.back().captured, "again");
  EXPECT_EQ(seen.stream(conns[1]->id, Direction::kSent), "response");
  if (seen.plan == Plan::kSyscalls) return;  // does not see it at all
  for (std::size_t end = 0; end < 2; ++end) {
    const auto data = seen.data_of(conns[end]->id, end == 0 ? Direction::kSent : Direction::kReceived);
    ASSERT_EQ(data.size(), 2U);
    EXPECT_EQ(data[0].position, 0U);
    EXPECT_EQ(data[0].length, 8U);
    EXPECT_EQ(data[0].captured, "");
  }
  EXPECT_EQ(seen.lost.at("capture.lost.ring_payload"), 2U);
}

}  // namespace
}  // namespace wirespan
