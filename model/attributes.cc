#include "model/attributes.h"

#include <algorithm>

namespace wirespan {

Attributes::Slice Attributes::keep(std::string_view text) {
  const Slice slice{static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())};
  text_.append(text);
  return slice;
}

Attributes::Entry& Attributes::slot(std::string_view key) {
  for (Entry& e : entries_) {
    if (!e.in_array && view(e.key) == key) return e;
  }
  return entries_.emplace_back(Entry{keep(key), Slice{0, 0}, false});
}

void Attributes::set(std::string_view key, std::string_view value) {
  Entry& e = slot(key);
  e.value = keep(value);
}
void Attributes::set(std::string_view key, std::int64_t value) {
  slot(key).value = value;
}
void Attributes::set(std::string_view key, double value) {
  slot(key).value = value;
}
void Attributes::set(std::string_view key, bool value) {
  slot(key).value = value;
}

void Attributes::add(std::string_view key, std::string_view value) {
  const auto last = std::find_if(entries_.rbegin(), entries_.rend(),
                                 [&](const Entry& e) { return e.in_array && view(e.key) == key; });
  const Entry fresh{last != entries_.rend() ? last->key : keep(key), keep(value), true};
  // Behind the last value of the same key, so that one array's values are adjacent.
  entries_.insert(last != entries_.rend() ? last.base() : entries_.end(), fresh);
}

void Attributes::append(const Attributes& other) {
  other.visit([this](std::string_view key, const AttributeValue& value, bool in_array) {
    if (in_array) return add(key, std::get<std::string_view>(value));
    std::visit([&](auto v) { set(key, v); }, value);
  });
}

void Attributes::clear() {
  // A reused object must not keep the memory of the largest message it ever carried.
  constexpr std::size_t kKeptText = 4096;
  constexpr std::size_t kKeptEntries = 64;
  if (text_.capacity() > kKeptText) text_ = std::string();
  if (entries_.capacity() > kKeptEntries) entries_ = std::vector<Entry>();
  entries_.clear();
  text_.clear();
}

AttributeValue Attributes::value(const Entry& e) const {
  if (const auto* slice = std::get_if<Slice>(&e.value)) return view(*slice);
  if (const auto* number = std::get_if<std::int64_t>(&e.value)) return *number;
  if (const auto* real = std::get_if<double>(&e.value)) return *real;
  return std::get<bool>(e.value);
}

std::optional<AttributeValue> Attributes::find(std::string_view key) const {
  for (const Entry& e : entries_) {
    if (view(e.key) == key) return value(e);
  }
  return std::nullopt;
}

std::string_view Attributes::text(std::string_view key) const {
  const auto found = find(key);
  if (!found) return {};
  const auto* text = std::get_if<std::string_view>(&*found);
  return text != nullptr ? *text : std::string_view();
}

}  // namespace wirespan
