// Text for a terminal: how wide it is, cut and padded to columns, free of anything a terminal would obey.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wirespan {

// Names come from the wire: bytes that are not UTF-8 become U+FFFD and control characters (an escape sequence could
// rewrite the operator's screen) become U+FFFD too. Direction overrides go the same way.
[[nodiscard]] std::string terminal_safe(std::string_view text);

// Columns; for text that is terminal_safe. East Asian wide characters and emoji count two, combining marks none.
[[nodiscard]] std::size_t columns(std::string_view text);

// Exactly `width` columns: padded with blanks, or cut with `ellipsis` (one column) at its end.
[[nodiscard]] std::string fit(std::string_view text, std::size_t width, std::string_view ellipsis);

// Three significant digits, at most 8 columns: "812 ns", "1.31 ms", "12.4 s", "2 m 03 s", "3 h 12 m". `micro` is "µ" or
// "u".
[[nodiscard]] std::string duration_text(std::uint64_t ns, std::string_view micro);

// 12345 as "12,345".
[[nodiscard]] std::string count_text(std::uint64_t count);

}  // namespace wirespan
