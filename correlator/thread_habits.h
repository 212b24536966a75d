// How each process uses its threads, learned from how it answers: whether a thread stays with a request, or work moves.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace wirespan {

class ThreadHabits {
 public:
  enum class Verdict : std::uint8_t {
    kStays,    // a thread reads a request, works for it alone and answers it: proven over and over
    kUnknown,  // not contradicted yet: wait how this request is answered
    kMoves,    // event loops, schedulers, hand-overs: the thread proves nothing
  };

  // A thread read a request while another it had read was open.
  void shared(std::uint32_t pid) { ++slot(pid).shared; }
  // A request ended; `at_home`: written by the thread that read it.
  void answered(std::uint32_t pid, bool at_home) { ++(at_home ? slot(pid).home : slot(pid).elsewhere); }
  // A call was made by a known goroutine; `linked`: which request it works for is certain.
  void explained(std::uint32_t pid, bool linked) { ++(linked ? slot(pid).explained : slot(pid).unexplained); }
  // Goroutines explain the calls of this process: one they do not explain belongs to no open request.
  [[nodiscard]] bool goroutines_explain(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    return it != habits_.end() && it->second.explained >= kProven && it->second.explained >= it->second.unexplained;
  }
  // Its runtime tells whom its event loop works for: what follows what says less than that.
  void tells_contexts(std::uint32_t pid) { slot(pid).contexts = true; }
  [[nodiscard]] bool contexts_are_told(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    return it != habits_.end() && it->second.contexts;
  }
  // It answers within contexts of its runtime: its event loops serve several requests.
  void answers_in_contexts(std::uint32_t pid) { slot(pid).answers_in_contexts = true; }
  [[nodiscard]] bool has_answered_in_contexts(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    return it != habits_.end() && it->second.answers_in_contexts;
  }
  // A thread that works for no request made a call, while those that read requests stay with them: they may have others
  // make their calls.
  void hands_calls_over(std::uint32_t pid) { slot(pid).hands_over = true; }
  [[nodiscard]] bool hands_over(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    return it != habits_.end() && it->second.hands_over;
  }
  // A call's response was read; `by_caller`: by the thread that wrote the request.
  void response_read(std::uint32_t pid, bool by_caller) { ++(by_caller ? slot(pid).read : slot(pid).read_elsewhere); }
  // Its clients have threads of their own. Who calls may find another's call waiting for the connection, and write
  // that.
  [[nodiscard]] bool others_read(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    return it != habits_.end() && it->second.read_elsewhere >= kProven / 2 &&
           it->second.read_elsewhere * kFew >= it->second.read;
  }
  void forget(std::uint32_t pid) { habits_.erase(pid); }
  [[nodiscard]] Verdict of(std::uint32_t pid) const {
    const auto it = habits_.find(pid);
    if (it == habits_.end()) return Verdict::kUnknown;
    const Habit& h = it->second;
    const std::uint64_t odd = h.shared + h.elsewhere;
    // One in a hundred may be an accident (a request given up, an error answered by the acceptor).
    if (odd * kRare > h.home + kRare / 2) return Verdict::kMoves;
    return odd == 0 && h.home >= kProven ? Verdict::kStays : Verdict::kUnknown;
  }

 private:
  static constexpr std::uint64_t kRare = 100;
  static constexpr std::uint64_t kProven = 16;
  static constexpr std::uint64_t kFew = 10;
  static constexpr std::size_t kMost = 65'536;
  struct Habit {
    std::uint64_t home = 0;
    std::uint64_t elsewhere = 0;
    std::uint64_t shared = 0;
    std::uint64_t explained = 0;
    std::uint64_t unexplained = 0;
    std::uint64_t read = 0;
    std::uint64_t read_elsewhere = 0;
    bool contexts = false;
    bool answers_in_contexts = false;
    bool hands_over = false;
  };
  Habit& slot(std::uint32_t pid) {
    if (habits_.size() >= kMost) habits_.clear();
    return habits_[pid];
  }
  std::unordered_map<std::uint32_t, Habit> habits_;
};

}  // namespace wirespan
