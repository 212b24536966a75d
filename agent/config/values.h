// Values of keys: read from one word or one line of text, checked, written back. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/schema.h"

namespace wirespan::config {

// What a value of that key may be, for messages and documentation: "64 to 16384 bytes, such as 4KiB".
[[nodiscard]] std::string allowed(const Key& key);

// Sets the slot from one scalar. "" or why not: "\"lots\" is no size". Lists take one value, maps none.
[[nodiscard]] std::string set_scalar(const Key& key, std::string_view text, const Slot& slot);
// Adds one element to a list, or one entry to a map.
[[nodiscard]] std::string add_element(const Key& key, std::string_view text, const Slot& slot);
[[nodiscard]] std::string add_entry(const Key& key, std::string_view name, std::string_view text, const Slot& slot);

// From one line, as environment variables and flags have it: lists separated by commas, maps "a=b,c=d" with
// percent-encoded values (W3C Baggage, which OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES follow).
[[nodiscard]] std::string set_line(const Key& key, std::string_view text, const Slot& slot);

[[nodiscard]] bool is_list(Form form);
[[nodiscard]] bool is_map(Form form);
void clear(const Slot& slot);

// The value as YAML in one line: 1024, "a\nb", ["x", "y"], {"k": "v"}. masked: values of secrets are "****".
[[nodiscard]] std::string to_yaml(const Slot& slot, Form form, bool masked);
// "k=v,k2=v2", percent-encoded: the opposite of set_line for maps.
[[nodiscard]] std::string to_line(const TextMap& map);

// The candidate that is nearest to a misspelt word, if any is near.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      const std::vector<std::string_view>& candidates);

}  // namespace wirespan::config
