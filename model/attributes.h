// Span and resource attributes: entries, and one buffer for the text they own, so that a span costs two allocations and
// a reused one none.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wirespan {

using AttributeValue = std::variant<std::string_view, std::int64_t, double, bool>;

// A key, or a value, written in the source: it lives for ever and is never copied. What JSON would have to escape does
// not compile: who writes it need not look.
class Literal {
 public:
  consteval Literal(const char* text) : text_(text) {  // NOLINT(google-explicit-constructor): "key" is one
    for (const char c : text_) {
      if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\') throw "not plain text";
    }
  }
  [[nodiscard]] constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

template <class T>
concept AttributeText = std::same_as<T, std::string_view> || std::same_as<T, std::string>;
template <class T>
concept AttributeInteger = std::integral<T> && !std::same_as<T, bool>;

class Attributes {
 public:
  // Sets or replaces. Text is copied, and so are keys that are not literals.
  template <class Value>
  void set(Literal key, const Value& value) {
    put(slot(key.text(), true), value);
  }
  template <AttributeText Key, class Value>
  void set(const Key& key, const Value& value) {
    put(slot(key, false), value);
  }
  // The same where the key is known not to be there: no search.
  template <class Value>
  void set_new(Literal key, const Value& value) {
    put(fresh(key.text(), true), value);
  }
  // A literal is not copied.
  void set_new(Literal key, Literal value) { put_text(fresh(key.text(), true), value.text(), true); }
  // Appends to a string-array attribute (e.g. http.request.header.<name>), in order.
  void add(std::string_view key, std::string_view value);
  // Sets what is in `other`.
  void append(const Attributes& other);
  // The same where no key is in both: no search.
  void append_new(const Attributes& other);
  void clear();
  void swap(Attributes& other) noexcept {
    entries_.swap(other.entries_);
    text_.swap(other.text_);
  }

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
    for (const Entry& e : entries_) visitor(key(e), value(e), e.in_array);
  }
  // The same, and whether key and value are literals: what is known of one holds wherever its address is met again.
  template <class Visitor>
  void visit_marked(Visitor&& visitor) const {
    for (const Entry& e : entries_) visitor(key(e), value(e), e.in_array, e.literal_key, e.literal_value);
  }

 private:
  enum class Kind : std::uint8_t { kText, kInteger, kReal, kBool };
  // 32 bytes; a span has about twenty. `key` and a text's `value` are a literal's address or an offset in text_.
  struct Entry {
    std::uint64_t key;
    std::uint64_t value;
    std::uint32_t key_size;
    std::uint32_t value_size;
    bool literal_key;
    bool literal_value;
    bool in_array;
    Kind kind;
  };

  [[nodiscard]] std::string_view text_at(std::uint64_t at, std::uint32_t size, bool literal) const {
    // NOLINTNEXTLINE(*-reinterpret-cast, performance-no-int-to-ptr): put there by literal()
    return {literal ? reinterpret_cast<const char*>(at) : text_.data() + at, size};
  }
  [[nodiscard]] std::string_view key(const Entry& e) const { return text_at(e.key, e.key_size, e.literal_key); }
  [[nodiscard]] AttributeValue value(const Entry& e) const {
    switch (e.kind) {
      case Kind::kText:
        return text_at(e.value, e.value_size, e.literal_value);
      case Kind::kInteger:
        return static_cast<std::int64_t>(e.value);
      case Kind::kReal:
        return std::bit_cast<double>(e.value);
      case Kind::kBool:
        break;
    }
    return e.value != 0;
  }

  Entry& slot(std::string_view key, bool literal);
  Entry& fresh(std::string_view key, bool literal) {
    Entry& e = entries_.emplace_back();
    set_key(e, key, literal);
    return e;
  }
  void set_key(Entry& e, std::string_view key, bool literal) {
    e.key = literal ? address(key) : keep(key);
    e.key_size = static_cast<std::uint32_t>(key.size());
    e.literal_key = literal;
  }
  // NOLINTNEXTLINE(*-reinterpret-cast)
  static std::uint64_t address(std::string_view literal) { return reinterpret_cast<std::uintptr_t>(literal.data()); }
  std::uint64_t keep(std::string_view text) {
    const std::size_t at = text_.size();
    text_.append(text);
    return at;
  }

  void put_text(Entry& e, std::string_view text, bool literal) {
    e.value = literal ? address(text) : keep(text);
    e.value_size = static_cast<std::uint32_t>(text.size());
    e.literal_value = literal;
    e.kind = Kind::kText;
  }
  static void put_bits(Entry& e, Kind kind, std::uint64_t bits) {
    e.value = bits;
    e.kind = kind;
  }
  void put(Entry& e, std::string_view value) { put_text(e, value, false); }
  // Without this a pointer would be a bool.
  void put(Entry& e, const char* value) { put_text(e, value, false); }
  void put(Entry& e, bool value) { put_bits(e, Kind::kBool, value ? 1 : 0); }
  void put(Entry& e, double value) { put_bits(e, Kind::kReal, std::bit_cast<std::uint64_t>(value)); }
  template <AttributeInteger Integer>
  void put(Entry& e, Integer value) {
    put_bits(e, Kind::kInteger, static_cast<std::uint64_t>(value));
  }

  std::vector<Entry> entries_;
  std::string text_;
};

}  // namespace wirespan
