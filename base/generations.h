// A table of what nobody says the end of: entries that were not used since it was last full are forgotten.
#pragma once

#include <cstddef>
#include <limits>
#include <unordered_map>
#include <utility>

namespace wirespan {

// Holds up to twice as many entries as are young. One thread.
template <class Key, class Value>
class Generations {
 public:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  // nullptr: it is not there. Does not count as use.
  [[nodiscard]] const Value* peek(const Key& key) const {
    for (const auto* const half : {&young_, &old_}) {
      if (const auto it = half->find(key); it != half->end()) return &it->second;
    }
    return nullptr;
  }
  [[nodiscard]] Value* peek(const Key& key) { return const_cast<Value*>(std::as_const(*this).peek(key)); }

  // The entry, young from here on, and a fresh one where there is none. With `most` young ones the old are forgotten
  // first. References to young entries hold until age(), those to old ones until they are used.
  Value& use(const Key& key, std::size_t most = kNoLimit) {
    if (const auto it = young_.find(key); it != young_.end()) return it->second;
    auto kept = old_.extract(key);  // before the old are forgotten
    if (young_.size() >= most) age();
    return kept ? young_.insert(std::move(kept)).position->second : young_[key];
  }

  void erase(const Key& key) {
    if (young_.erase(key) == 0) old_.erase(key);
  }
  // What is young grows old, what was old is forgotten. Whether anything was.
  bool age() {
    const bool some = !old_.empty();
    old_ = std::exchange(young_, {});
    return some;
  }
  void clear() {
    young_.clear();
    old_.clear();
  }
  template <class Do>
  void each(Do todo) {
    for (auto* const half : {&young_, &old_}) {
      for (auto& [key, value] : *half) todo(value);
    }
  }
  [[nodiscard]] std::size_t young() const { return young_.size(); }

 private:
  std::unordered_map<Key, Value> young_;
  std::unordered_map<Key, Value> old_;
};

}  // namespace wirespan
