// What a thread, or a goroutine, is working for right now. Evidences set it; one of them reads it when a call is made.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "model/event.h"

namespace wirespan {

struct Activation {
  std::uint64_t node = 0;   // number of the SERVER exchange; it may have finished since: look it up
  std::string_view method;  // which evidence set it
  double confidence = 1;
  std::uint32_t loop = 0;  // the thread's turn of its event loop then
  BootTime since{};
};

class Activations {
 public:
  explicit Activations(std::size_t limit) : limit_(limit) {}

  // By goroutine where the runtime has them, else by thread.
  void set(const Actor& actor, Activation activation);
  [[nodiscard]] const Activation* find(const Actor& actor) const;
  void set_thread(std::uint32_t tid, Activation activation) { put(tid, activation); }
  [[nodiscard]] const Activation* find_thread(std::uint32_t tid) const { return get(tid); }
  void set_task(std::uint32_t pid, std::uint64_t task, Activation activation) { put(task_key(pid, task), activation); }
  [[nodiscard]] const Activation* find_task(std::uint32_t pid, std::uint64_t task) const {
    return get(task_key(pid, task));
  }
  void clear() { map_.clear(); }
  void forget_thread(std::uint32_t tid) { map_.erase(tid); }
  [[nodiscard]] std::size_t size() const { return map_.size(); }

 private:
  // Goroutine ids are per process and far above 2^32 only after years; pids fit 22 bits (PID_MAX_LIMIT). Bit 63 tells
  // them from thread ids.
  static std::uint64_t task_key(std::uint32_t pid, std::uint64_t task) {
    return (1ULL << 63U) | (static_cast<std::uint64_t>(pid) << 40U) | (task & ((1ULL << 40U) - 1));
  }
  void put(std::uint64_t key, const Activation& activation);
  [[nodiscard]] const Activation* get(std::uint64_t key) const {
    const auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second;
  }

  std::size_t limit_;
  std::unordered_map<std::uint64_t, Activation> map_;
};

}  // namespace wirespan
