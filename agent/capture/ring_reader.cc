#include "agent/capture/ring_reader.h"

#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wirespan {
namespace {

// Read space is given back after so many bytes: seldom enough to spare the cache line, often enough for a full ring.
constexpr std::uint64_t kReleaseBytes = 64U << 10U;

// Both positions and the records' headers are written by the kernel while we look.
template <class T>
T load(const void* at) {
  return __atomic_load_n(static_cast<const T*>(at), __ATOMIC_ACQUIRE);
}

}  // namespace

Result<std::unique_ptr<RingReader>> RingReader::open(int map_fd, std::size_t bytes) {
  std::unique_ptr<RingReader> reader(new RingReader());
  reader->bytes_ = bytes;
  reader->page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* consumer = ::mmap(nullptr, reader->page_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return errno_error("map the ring buffer's position");
  reader->consumer_ = static_cast<std::uint8_t*>(consumer);
  void* producer =
      ::mmap(nullptr, reader->page_ + bytes, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(reader->page_));
  if (producer == MAP_FAILED) return errno_error("map the ring buffer");
  reader->producer_ = static_cast<const std::uint8_t*>(producer);
  reader->data_ = reader->producer_ + reader->page_;
  reader->position_ = reader->released_ = load<std::uint64_t>(reader->consumer_);

  reader->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event wanted{};
  // Edge-triggered: only a forced wake-up counts, not that something lies there.
  wanted.events = EPOLLIN | EPOLLET;
  if (reader->epoll_ < 0 || ::epoll_ctl(reader->epoll_, EPOLL_CTL_ADD, map_fd, &wanted) != 0)
    return errno_error("wait for the ring buffer");
  return reader;
}

RingReader::~RingReader() {
  if (consumer_ != nullptr) ::munmap(consumer_, page_);
  if (producer_ != nullptr) ::munmap(const_cast<std::uint8_t*>(producer_), page_ + bytes_);
  if (epoll_ >= 0) ::close(epoll_);
}

int RingReader::wait(int milliseconds) const {
  epoll_event ready{};
  const int n = ::epoll_wait(epoll_, &ready, 1, milliseconds);
  return n < 0 ? -errno : n;
}

std::size_t RingReader::waiting() const {
  return static_cast<std::size_t>(load<std::uint64_t>(producer_) - position_);
}

std::optional<Bytes> RingReader::front() {
  if (position_ == end_) {
    end_ = load<std::uint64_t>(producer_);
    if (position_ == end_) return std::nullopt;
  }
  const std::size_t mask = bytes_ - 1;
  const auto header = load<std::uint32_t>(data_ + (position_ & mask));
  if ((header & BPF_RINGBUF_BUSY_BIT) != 0) return std::nullopt;
  const std::size_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
  record_ = (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  if ((header & BPF_RINGBUF_DISCARD_BIT) != 0) return Bytes();
  const std::size_t at = (position_ + BPF_RINGBUF_HDR_SZ) & mask;
  if (at + size <= bytes_) return Bytes(data_ + at, size);
  whole_.resize(size);
  const std::size_t first = bytes_ - at;
  std::copy_n(data_ + at, first, whole_.begin());
  std::copy_n(data_, size - first, whole_.begin() + static_cast<std::ptrdiff_t>(first));
  return Bytes(whole_);
}

void RingReader::pop() {
  position_ += record_;
  if (position_ - released_ >= kReleaseBytes) release();
}

void RingReader::release() {
  if (position_ == released_) return;
  released_ = position_;
  __atomic_store_n(reinterpret_cast<std::uint64_t*>(consumer_), position_, __ATOMIC_RELEASE);  // NOLINT(*-cast)
}

}  // namespace wirespan
