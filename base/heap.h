// What the C library keeps of memory that was freed.
#pragma once

#include <cstddef>

namespace wirespan {

// Large buffers are mapped and unmapped by themselves, for good. glibc raises the size from which it does so to that of
// the largest one freed so far: the next such buffer (a program's symbols, the kernel's types) would lie in the heap,
// and whatever is allocated behind it keeps all of it resident. At start, before there are other threads.
void keep_large_buffers_apart();

// Gives pages of the heap back in which nothing is used any more. One thread.
class FreeHeap {
 public:
  // Now and then; does nothing unless a good deal was freed since the last time. Some ms then.
  void give_back();

 private:
  std::size_t known_ = 0;  // bytes that are free and were looked at
};

}  // namespace wirespan
