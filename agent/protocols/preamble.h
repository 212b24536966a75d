// The PROXY protocol's header (HAProxy, versions 1 and 2), which load balancers put before the first byte of whatever
// protocol follows. Pure.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace wirespan::protocols {

struct Preamble {
  std::size_t bytes = 0;  // of the whole header; 0: there is none
  bool partial = false;   // it may be one with more bytes
};
[[nodiscard]] Preamble proxy_preamble(Bytes bytes);

}  // namespace wirespan::protocols
