// What the words in wirespan.link.method and wirespan.link.missing mean, for people.
#pragma once

#include <string_view>

namespace wirespan {

// One clause that follows "linked because ". Unknown words are said to be unknown.
[[nodiscard]] std::string_view explain_method(std::string_view method);
// One clause that follows "no parent because ".
[[nodiscard]] std::string_view explain_missing(std::string_view reason);

}  // namespace wirespan
