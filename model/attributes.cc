#include "model/attributes.h"

#include <algorithm>

namespace wirespan {

Attributes::Entry& Attributes::slot(std::string_view wanted, bool literal) {
  for (Entry& e : entries_) {
    if (!e.in_array && key(e) == wanted) return e;
  }
  return fresh(wanted, literal);
}

void Attributes::add(std::string_view array, std::string_view value) {
  const auto last =
      std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) { return e.in_array && key(e) == array; });
  Entry added{};
  if (last != entries_.rend()) {
    added = *last;
  } else {
    set_key(added, array, false);
  }
  added.in_array = true;
  put_text(added, value, false);
  // Behind the last value of the same key, so that one array's values are adjacent.
  entries_.insert(last != entries_.rend() ? last.base() : entries_.end(), added);
}

void Attributes::append(const Attributes& other) {
  other.visit([this](std::string_view key, const AttributeValue& value, bool in_array) {
    if (in_array) return add(key, std::get<std::string_view>(value));
    std::visit([&](auto v) { set(key, v); }, value);
  });
}

void Attributes::append_new(const Attributes& other) {
  const std::size_t offset = text_.size();
  text_.append(other.text_);
  const std::size_t from = entries_.size();
  entries_.insert(entries_.end(), other.entries_.begin(), other.entries_.end());
  for (std::size_t i = from; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    if (!e.literal_key) e.key += offset;
    if (e.kind == Kind::kText && !e.literal_value) e.value += offset;
  }
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

std::optional<AttributeValue> Attributes::find(std::string_view wanted) const {
  for (const Entry& e : entries_) {
    if (key(e) == wanted) return value(e);
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
