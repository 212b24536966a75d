// SkyWalking's cross-process header v3 (sw8). Its ids are free text, not W3C ids, so it cannot become a parent by
// itself: what it says connects a caller's message with a callee's as rare values do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wirespan {

struct Sw8 {
  bool sampled = false;
  std::string trace_id;
  std::string parent_segment;
  std::int32_t parent_span = 0;
  std::string parent_service;
  std::string parent_instance;
  std::string parent_endpoint;
  std::string target_address;
};

// Eight fields separated by "-", base64 in all but the first and the fourth. nullopt when malformed or a field is
// longer than 512 bytes.
[[nodiscard]] std::optional<Sw8> parse_sw8(std::string_view value);
[[nodiscard]] std::string to_sw8(const Sw8& context);

}  // namespace wirespan
