// OTLP groups spans by resource: a batch of many processes, ordered by process without losing the order within one.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/span.h"

namespace wirespan {

// Processes in the order of their first span, so that the same batch always gives the same bytes. Memory is reused.
class Grouping {
 public:
  // Calls group(spans of one process, as pointers) once per process.
  template <class Group>
  void each(std::span<const Span> batch, Group&& group) {
    number(batch);
    std::size_t from = 0;
    for (const std::uint32_t count : counts_) {
      group(std::span<const Span* const>(sorted_.data() + from, count));
      from += count;
    }
  }

 private:
  void number(std::span<const Span> batch);

  std::unordered_map<const ProcessInfo*, std::uint32_t> numbers_;
  std::vector<std::uint32_t> group_of_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::uint32_t> next_;
  std::vector<const Span*> sorted_;
};

}  // namespace wirespan
