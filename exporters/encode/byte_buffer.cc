#include "exporters/encode/byte_buffer.h"

#include <algorithm>
#include <utility>

namespace wirespan {

void ByteBuffer::grow(std::size_t more) {
  const std::size_t wanted = std::max<std::size_t>({size_ + more, 2 * capacity_, 4096});
  auto bigger = std::make_unique_for_overwrite<char[]>(wanted);
  if (size_ != 0) std::memcpy(bigger.get(), bytes_.get(), size_);
  bytes_ = std::move(bigger);
  capacity_ = wanted;
}

void ByteBuffer::release() {
  bytes_.reset();
  size_ = 0;
  capacity_ = 0;
}

}  // namespace wirespan
