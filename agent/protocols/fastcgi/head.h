// What a request's variables and the head of its answer say, in HTTP's words (RFC 3875, sections 4.1 and 6.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/protocols/common/http_head.h"

namespace wirespan::fastcgi {

// Views into the text parsed, and the scratch texts here. Kept by the caller, so that it allocates nothing.
struct RequestHead : protocols::HttpHead {
  std::optional<std::uint64_t> content_length;
  std::string scratch_authority;
  std::string scratch_path;
};
// `text`: name-value pairs (FastCGI 3.4), or what there is of them; a pair that is not complete is left out.
void parse_params(std::string_view text, const protocols::HttpHeaderList& wanted, RequestHead& head);

struct ResponseHead : protocols::HttpHead {
  unsigned status = 0;  // 0: not known
  std::optional<std::uint64_t> content_length;
};
// `complete`: the empty line was seen, so what is not there was not said.
void parse_response(std::string_view text, bool complete, const protocols::HttpHeaderList& wanted, ResponseHead& head);

}  // namespace wirespan::fastcgi
