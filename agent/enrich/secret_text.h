// Finds secrets and personal data in free text: e-mail addresses, card numbers, JSON web tokens, bearer and basic
// credentials, keys of well-known services. Pure; made to cost next to nothing where there is nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace wirespan {

struct SecretKinds {
  bool email = true;
  bool card = true;   // 13 to 19 digits that begin as cards do and pass Luhn's check (ISO/IEC 7812)
  bool token = true;  // everything else
};

struct SecretRange {
  std::size_t begin = 0;
  std::size_t end = 0;  // behind its last character
};

// The first at or behind `from`, where e-mail addresses and tokens come before cards of the same text.
[[nodiscard]] std::optional<SecretRange> find_secret(std::string_view text, std::size_t from, const SecretKinds& kinds);

}  // namespace wirespan
