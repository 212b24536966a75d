// Every key there is: its name, place in Config, form, limits, environment variables and meaning.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/config/config.h"

namespace wirespan::config {

enum class Form : std::uint8_t {
  kFlag,
  kNumber,
  kSize,      // bytes: 1024, 64KiB, 8MiB
  kDuration,  // 250ms, 10s, 5m, 1h; a bare number is milliseconds
  kRatio,     // 0 to 1
  kChoice,
  kText,
  kTexts,
  kChoices,  // several of them
  kNumbers,
  kTextMap,
  kFlagMap,
};

using Slot = std::variant<bool*, std::int64_t*, double*, Milliseconds*, std::string*, Texts*,
                          std::vector<std::int64_t>*, TextMap*, FlagMap*>;

struct Key {
  std::string_view name;  // "export.otlp.endpoint"
  Form form;
  Slot (*slot)(Config&);
  std::string_view doc;
  std::int64_t least = 0;  // of numbers, sizes and durations (ms)
  std::int64_t most = 0;
  std::vector<std::string_view> choices = {};
  std::vector<std::string_view> environment = {};  // the first that is set counts
  bool live = false;                               // a reload takes it over at once
  bool secret = false;                             // never printed
  bool lower = false;                              // names without case: kept in lower case
};

[[nodiscard]] std::span<const Key> schema();
[[nodiscard]] const Key* find_key(std::string_view name);

// The section that `name` is in: "export.otlp" of "export.otlp.endpoint", "" of "resource".
[[nodiscard]] std::string_view section_of(std::string_view name);

}  // namespace wirespan::config
