// The head of an HTTP/1.x message: start line and fields (RFC 9112, sections 2 to 5). Pure functions over bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/protocols/common/http_head.h"

namespace wirespan::http1 {

enum class StartLine : std::uint8_t {
  kNone,            // neither
  kPartial,         // the beginning of one or the other
  kRequest,         // "METHOD target HTTP/1.x" and the line's end
  kResponse,        // "HTTP/1.x NNN" and what must follow
  kPartialRequest,  // a known method and a target that has not ended yet
};
// Is a message beginning here? Strict enough not to take a body for one: HTTP/1.x only, version included.
[[nodiscard]] StartLine start_line(std::string_view text);

// Begins with a method in common use, where an extension method could as well be the rest of something else.
[[nodiscard]] bool known_method(std::string_view text);

// Bytes of empty lines before a start line, which are to be ignored (RFC 9112 2.2).
[[nodiscard]] std::size_t empty_lines(std::string_view text);

using protocols::head_end;

// Views into the text parsed. Kept by the caller from message to message, so that it allocates nothing.
struct Head : protocols::HttpHead {
  bool is_request = false;
  bool line_complete = false;  // else the target was cut
  unsigned minor_version = 1;
  unsigned status = 0;
  std::string_view target;

  // Framing (RFC 9112, 6)
  std::optional<std::uint64_t> content_length;
  bool bad_length = false;  // not a number, overflow, or several that differ
  bool transfer_encoding = false;
  bool chunked = false;  // is the final coding
  std::string_view upgrade;
};

// Precondition: start_line(text) recognised it. `text` is the head, or what there is of it; lines that are not complete
// are left out.
void parse_head(std::string_view text, const protocols::HttpHeaderList& wanted, Head& head);

}  // namespace wirespan::http1
