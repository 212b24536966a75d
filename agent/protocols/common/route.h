// The route of a path: what is left when the values in it are taken out, so that a span's name has few values.
//
// No framework tells us its template, so this is a heuristic (docs/http.md). Segment by segment, what looks like a
// value is replaced:
//   digits, UUID, hex of 8 or more, a word with 4 digits in a row or 5 in all, 16 or more mixed characters,
//   e-mail                                                                                            -> {id}
//   YYYY-MM-DD                                                                                        -> {date}
//   percent-escapes, other than ASCII, longer than 64                                                 -> {value}
//   a file name whose stem, or a part of it between dots, is one of these                             -> {id}.png
// Matrix parameters (";v=1") are left out. Past 12 segments the rest is "*". Everything else stays: "v1", "oauth2".
#pragma once

#include <string>
#include <string_view>

namespace wirespan::protocols {

// `path` begins with '/'; appends at least "/".
void append_route(std::string& out, std::string_view path);

}  // namespace wirespan::protocols
