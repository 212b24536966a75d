#include "exporters/encode/proto_writer.h"

#include <algorithm>
#include <utility>

namespace wirespan {

void ProtoWriter::grow(std::size_t more) {
  const std::size_t wanted = std::max<std::size_t>({size_ + more, 2 * capacity_, 4096});
  auto bigger = std::make_unique_for_overwrite<char[]>(wanted);
  if (size_ != 0) std::memcpy(bigger.get(), buffer_.get(), size_);
  buffer_ = std::move(bigger);
  capacity_ = wanted;
}

}  // namespace wirespan
