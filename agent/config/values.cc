#include "agent/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"

namespace wirespan::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array<Unit, 9> kSizes = {{{"", 1},
                                         {"B", 1},
                                         {"k", 1024},
                                         {"KiB", 1024},
                                         {"K", 1024},
                                         {"MiB", 1 << 20},
                                         {"M", 1 << 20},
                                         {"GiB", 1 << 30},
                                         {"G", 1 << 30}}};
constexpr std::array<Unit, 5> kDurations = {{{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

std::string quoted(std::string_view text) {
  return "\"" + std::string(text.substr(0, 64)) + (text.size() > 64 ? "..." : "") + "\"";
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "8MiB", "250ms", "1.5s" is not one: a whole number and a unit.
template <std::size_t N>
std::optional<std::int64_t> with_unit(std::string_view text, const std::array<Unit, N>& units) {
  const auto end = text.find_first_not_of("0123456789");
  const auto number = whole_number(text.substr(0, end));
  if (!number) return std::nullopt;
  std::string_view unit = end == std::string_view::npos ? std::string_view() : text.substr(end);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const Unit& known : units) {
    if (unit != known.name) continue;
    if (*number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
    return *number * known.factor;
  }
  return std::nullopt;
}

std::optional<bool> flag(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string bounded(const Key& key, std::optional<std::int64_t> value, std::string_view text, std::string_view what,
                    std::int64_t& out) {
  if (!value) return quoted(text) + " is no " + std::string(what);
  if (*value < key.least || *value > key.most) return quoted(text) + " is out of range";
  out = *value;
  return {};
}

bool chosen(const Key& key, std::string_view text) {
  return std::find(key.choices.begin(), key.choices.end(), text) != key.choices.end();
}

std::string wrong_choice(const Key& key, std::string_view text) {
  std::string out = quoted(text) + " is not one of them";
  if (const auto near = nearest(text, key.choices)) out += "; did you mean " + std::string(*near) + "?";
  return out;
}

std::string unit_text(std::int64_t value, const Unit* units, std::size_t count) {
  const Unit* best = units;
  for (std::size_t i = 0; i < count; ++i) {
    if (value != 0 && value % units[i].factor == 0 && units[i].factor > best->factor) best = &units[i];
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

// KiB rather than k and K: only the long names are written.
constexpr std::array<Unit, 4> kWrittenSizes = {{{"", 1}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}};
constexpr std::array<Unit, 4> kWrittenDurations = {{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

std::string size_text(std::int64_t value) {
  return unit_text(value, kWrittenSizes.data(), kWrittenSizes.size());
}
std::string duration_text(std::int64_t value) {
  return unit_text(value, kWrittenDurations.data(), kWrittenDurations.size());
}

// A YAML double-quoted scalar. A '$' in a value would be a variable when read again; names are not expanded.
std::string yaml_text(std::string_view text, bool is_name = false) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '$' && !is_name) {
      out.append("$$");
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out.append("\\x").push_back(kDigits[byte >> 4U]);
      out.push_back(kDigits[byte & 15U]);
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

}  // namespace

bool is_list(Form form) {
  return form == Form::kTexts || form == Form::kChoices || form == Form::kNumbers;
}
bool is_map(Form form) {
  return form == Form::kTextMap || form == Form::kFlagMap;
}

std::string allowed(const Key& key) {
  std::string choices;
  for (const std::string_view choice : key.choices) choices += (choices.empty() ? "" : ", ") + std::string(choice);
  std::string range = std::to_string(key.least) + " to " + std::to_string(key.most);
  switch (key.form) {
    case Form::kFlag:
      return "true, false";
    case Form::kNumber:
      return range;
    case Form::kSize:
      return size_text(key.least) + " to " + size_text(key.most) + ", such as " + size_text(4 * key.least);
    case Form::kDuration:
      return duration_text(key.least) + " to " + duration_text(key.most) + ", such as 250ms, 10s or 5m";
    case Form::kRatio:
      return "0 to 1";
    case Form::kChoice:
      return choices;
    case Form::kChoices:
      return "a list of: " + choices;
    case Form::kText:
      return "text";
    case Form::kTexts:
      return "a list of texts";
    case Form::kNumbers:
      return "a list of numbers, " + range;
    case Form::kTextMap:
      return "names with texts";
    case Form::kFlagMap:
      return choices.empty() ? "names with true or false" : "true or false for: " + choices;
  }
  return {};
}

std::string set_scalar(const Key& key, std::string_view text, const Slot& slot) {
  switch (key.form) {
    case Form::kFlag: {
      const auto value = flag(text);
      if (!value) return quoted(text) + " is neither true nor false";
      *std::get<bool*>(slot) = *value;
      return {};
    }
    case Form::kNumber:
      return bounded(key, whole_number(text), text, "whole number", *std::get<std::int64_t*>(slot));
    case Form::kSize:
      return bounded(key, with_unit(text, kSizes), text, "size", *std::get<std::int64_t*>(slot));
    case Form::kDuration: {
      std::int64_t value = 0;
      std::string why = bounded(key, with_unit(text, kDurations), text, "duration", value);
      if (why.empty()) *std::get<Milliseconds*>(slot) = Milliseconds(value);
      return why;
    }
    case Form::kRatio: {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) return quoted(text) + " is no number";
      if (!(value >= 0 && value <= 1)) return quoted(text) + " is out of range";
      *std::get<double*>(slot) = value;
      return {};
    }
    case Form::kChoice:
      if (!chosen(key, text)) return wrong_choice(key, text);
      *std::get<std::string*>(slot) = text;
      return {};
    case Form::kText:
      *std::get<std::string*>(slot) = text;
      return {};
    default:
      clear(slot);
      return is_list(key.form) ? add_element(key, text, slot) : quoted(text) + " is no map";
  }
}

std::string add_element(const Key& key, std::string_view text, const Slot& slot) {
  if (key.form == Form::kNumbers) {
    std::int64_t value = 0;
    std::string why = bounded(key, whole_number(text), text, "whole number", value);
    if (why.empty()) std::get<std::vector<std::int64_t>*>(slot)->push_back(value);
    return why;
  }
  if (key.form == Form::kChoices && !chosen(key, text)) return wrong_choice(key, text);
  if (text.empty()) return "an element is empty";
  std::get<Texts*>(slot)->push_back(key.lower ? lower_case(text) : std::string(text));
  return {};
}

std::string add_entry(const Key& key, std::string_view name, std::string_view text, const Slot& slot) {
  if (name.empty()) return "a name is empty";
  if (key.form == Form::kTextMap) {
    (*std::get<TextMap*>(slot))[key.lower ? lower_case(name) : std::string(name)] = text;
    return {};
  }
  if (!key.choices.empty() && !chosen(key, name)) return wrong_choice(key, name);
  const auto value = flag(text);
  if (!value) return quoted(text) + " is neither true nor false";
  (*std::get<FlagMap*>(slot))[std::string(name)] = *value;
  return {};
}

std::string set_line(const Key& key, std::string_view text, const Slot& slot) {
  text = trim(text);
  if (!is_list(key.form) && !is_map(key.form)) return set_scalar(key, text, slot);
  clear(slot);
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view part = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (part.empty()) continue;
    std::string why;
    if (is_list(key.form)) {
      why = add_element(key, part, slot);
    } else {
      const auto equals = part.find('=');
      if (equals == std::string_view::npos) return "an element has no \"=\"";
      const auto name = percent_decode(trim(part.substr(0, equals)));
      const auto value = percent_decode(trim(part.substr(equals + 1)));
      if (!name || !value) return "a percent sign is not followed by two hex digits";
      why = add_entry(key, *name, *value, slot);
    }
    if (!why.empty()) return why;
  }
  return {};
}

void clear(const Slot& slot) {
  std::visit(
      [](auto* value) {
        using T = std::remove_reference_t<decltype(*value)>;
        *value = T();
      },
      slot);
}

std::string to_yaml(const Slot& slot, Form form, bool masked) {
  if (const auto* flag_slot = std::get_if<bool*>(&slot)) return **flag_slot ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t*>(&slot)) {
    return form == Form::kSize ? size_text(**number) : std::to_string(**number);
  }
  if (const auto* ratio = std::get_if<double*>(&slot)) {
    std::array<char, 32> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), **ratio).ptr;
    return {buffer.data(), end};
  }
  if (const auto* duration = std::get_if<Milliseconds*>(&slot)) return duration_text((*duration)->count());
  if (const auto* text = std::get_if<std::string*>(&slot))
    return yaml_text(masked && !(*text)->empty() ? "****" : **text);
  std::string out;
  const auto add = [&out](const std::string& element) { out += (out.empty() ? "" : ", ") + element; };
  if (const auto* texts = std::get_if<Texts*>(&slot)) {
    for (const std::string& element : **texts) add(yaml_text(masked ? "****" : element));
    return "[" + out + "]";
  }
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>*>(&slot)) {
    for (const std::int64_t element : **numbers) add(std::to_string(element));
    return "[" + out + "]";
  }
  if (const auto* map = std::get_if<TextMap*>(&slot)) {
    for (const auto& [name, value] : **map) add(yaml_text(name, true) + ": " + yaml_text(masked ? "****" : value));
    return "{" + out + "}";
  }
  for (const auto& [name, value] : *std::get<FlagMap*>(slot))
    add(yaml_text(name, true) + (value ? ": true" : ": false"));
  return "{" + out + "}";
}

std::string to_line(const TextMap& map) {
  std::string out;
  const auto encode = [&out](std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte > 0x20 && byte < 0x7f && c != ',' && c != '=' && c != '%' && c != ';' && c != '"' && c != '\\') {
        out.push_back(c);
        continue;
      }
      out.push_back('%');
      out.push_back(kDigits[byte >> 4U]);
      out.push_back(kDigits[byte & 15U]);
    }
  };
  for (const auto& [name, value] : map) {
    if (!out.empty()) out.push_back(',');
    encode(name);
    out.push_back('=');
    encode(value);
  }
  return out;
}

std::optional<std::string_view> nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  if (word.empty() || word.size() > 64) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    // Levenshtein, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({row[j - 1] + 1, above + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0U : 1U)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace wirespan::config
