#include "exporters/encode/grouping.h"

namespace wirespan {

void Grouping::number(std::span<const Span> batch) {
  numbers_.clear();
  counts_.clear();
  group_of_.clear();
  const ProcessInfo* last = nullptr;
  std::uint32_t last_group = 0;
  for (const Span& span : batch) {
    if (counts_.empty() || span.process.get() != last) {
      last = span.process.get();
      last_group = numbers_.try_emplace(last, static_cast<std::uint32_t>(counts_.size())).first->second;
      if (last_group == counts_.size()) counts_.push_back(0);
    }
    group_of_.push_back(last_group);
    ++counts_[last_group];
  }

  next_.clear();
  std::uint32_t from = 0;
  for (const std::uint32_t count : counts_) {
    next_.push_back(from);
    from += count;
  }
  sorted_.resize(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) sorted_[next_[group_of_[i]]++] = &batch[i];
}

}  // namespace wirespan
