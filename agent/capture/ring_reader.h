// The reading end of a BPF ring buffer (kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst). libbpf's maps the data
// twice, which counts twice as resident memory, and tells the kernel of every record read, a cache line that goes to
// and fro between CPUs at each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace wirespan {

// One thread.
class RingReader {
 public:
  // `bytes`: the map's max_entries, a power of two.
  [[nodiscard]] static Result<std::unique_ptr<RingReader>> open(int map_fd, std::size_t bytes);
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Sleeps until a producer forces a wake-up, at most so long; -errno when that fails. What was written without one
  // does not wake.
  int wait(int milliseconds) const;

  // Bytes written and not read.
  [[nodiscard]] std::size_t waiting() const;

  // Calls record(Bytes) for each record that is complete, in order, and returns how many. The bytes are valid during
  // the call only.
  template <class Record>
  std::size_t read(Record&& record) {
    std::size_t count = 0;
    while (const std::optional<Bytes> next = front()) {
      if (next->data() != nullptr) {
        record(*next);
        ++count;
      }
      pop();
    }
    release();
    return count;
  }

 private:
  RingReader() = default;
  // The oldest record; no bytes when its producer thought better of it.
  std::optional<Bytes> front();
  void pop();
  void release();

  std::size_t bytes_ = 0;
  std::size_t page_ = 0;
  int epoll_ = -1;
  std::uint8_t* consumer_ = nullptr;        // a page: our position
  const std::uint8_t* producer_ = nullptr;  // a page: theirs; the data behind it
  const std::uint8_t* data_ = nullptr;
  std::uint64_t position_ = 0;
  std::uint64_t released_ = 0;
  std::uint64_t end_ = 0;            // theirs, when we last looked
  std::uint64_t record_ = 0;         // size of the front record in the ring
  std::vector<std::uint8_t> whole_;  // a record that lies across the end
};

}  // namespace wirespan
