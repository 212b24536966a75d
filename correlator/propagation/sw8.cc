#include "correlator/propagation/sw8.h"

#include <charconv>

#include "correlator/propagation/text.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostField = 512;

bool read(std::string_view& rest, std::string& out) {
  const auto bytes = propagation::decode_base64(propagation::cut(rest, '-'), kMostField);
  if (!bytes || bytes->empty()) return false;
  out.assign(bytes->begin(), bytes->end());
  return true;
}

}  // namespace

std::optional<Sw8> parse_sw8(std::string_view value) {
  std::string_view rest = propagation::trim_ows(value);
  Sw8 out;
  const std::string_view sample = propagation::cut(rest, '-');
  if (sample != "0" && sample != "1") return std::nullopt;
  out.sampled = sample == "1";
  if (!read(rest, out.trace_id) || !read(rest, out.parent_segment)) return std::nullopt;
  const std::string_view number = propagation::cut(rest, '-');
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.parent_span);
  if (error != std::errc() || end != number.data() + number.size() || out.parent_span < 0) return std::nullopt;
  if (!read(rest, out.parent_service) || !read(rest, out.parent_instance) || !read(rest, out.parent_endpoint) ||
      !read(rest, out.target_address) || !rest.empty()) {
    return std::nullopt;
  }
  return out;
}

std::string to_sw8(const Sw8& context) {
  std::string out = context.sampled ? "1" : "0";
  const auto add = [&out](std::string_view text) { out += "-" + propagation::encode_base64(text); };
  add(context.trace_id);
  add(context.parent_segment);
  out += "-" + std::to_string(context.parent_span);
  add(context.parent_service);
  add(context.parent_instance);
  add(context.parent_endpoint);
  add(context.target_address);
  return out;
}

}  // namespace wirespan
