// Span and resource attributes, kept in one text buffer so that a span costs two allocations and a reused one none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wirespan {

using AttributeValue = std::variant<std::string_view, std::int64_t, double, bool>;

class Attributes {
 public:
  // Sets or replaces. Both key and text value are copied.
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set(std::string_view key, std::int64_t value);
  void set(std::string_view key, int value) { set(key, static_cast<std::int64_t>(value)); }
  void set(std::string_view key, std::uint16_t value) { set(key, static_cast<std::int64_t>(value)); }
  void set(std::string_view key, std::uint32_t value) { set(key, static_cast<std::int64_t>(value)); }
  void set(std::string_view key, std::uint64_t value) { set(key, static_cast<std::int64_t>(value)); }
  void set(std::string_view key, double value);
  void set(std::string_view key, bool value);
  // Appends to a string-array attribute (e.g. http.request.header.<name>), in order.
  void add(std::string_view key, std::string_view value);
  void append(const Attributes& other);
  void clear();

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // Bytes of heap held, also for reuse: what a bounded queue has to count.
  [[nodiscard]] std::size_t memory() const { return entries_.capacity() * sizeof(Entry) + text_.capacity(); }
  // First value of that key. Views stay valid until the next change.
  [[nodiscard]] std::optional<AttributeValue> find(std::string_view key) const;
  [[nodiscard]] std::string_view text(std::string_view key) const;  // "" when absent or not text

  // visit(key, value, in_array): calls in insertion order; values of one array key are adjacent, in_array true.
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    for (const Entry& e : entries_) visitor(view(e.key), value(e), e.in_array);
  }

 private:
  struct Slice {
    std::uint32_t at;
    std::uint32_t size;
  };
  struct Entry {
    Slice key;
    std::variant<Slice, std::int64_t, double, bool> value;
    bool in_array;
  };

  [[nodiscard]] std::string_view view(Slice s) const { return std::string_view(text_).substr(s.at, s.size); }
  [[nodiscard]] AttributeValue value(const Entry& e) const;
  Slice keep(std::string_view text);
  Entry& slot(std::string_view key);

  std::vector<Entry> entries_;
  std::string text_;
};

}  // namespace wirespan
