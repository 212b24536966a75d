#include "base/heap.h"

#include <malloc.h>

#include <algorithm>

namespace wirespan {
namespace {

constexpr int kLarge = 1 << 20;
constexpr std::size_t kWorthwhile = 1 << 20;

}  // namespace

void keep_large_buffers_apart() {
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
}

void FreeHeap::give_back() {
  const std::size_t free = mallinfo2().fordblks;
  if (free < known_ + kWorthwhile) {
    known_ = std::min(known_, free);
    return;
  }
  malloc_trim(0);
  known_ = mallinfo2().fordblks;
}

}  // namespace wirespan
