// wirespan-degrade IN OUT PERCENT [SEED]: a recording as if the ring buffer had been full now and then. Of the records
// that come through it so many are left out, at random, and their number is told as the agent would be told. For
// measuring what losses do to links (tests/accuracy/run.py --replay DIR --drop PERCENT).
#include <cstdio>
#include <cstdlib>
#include <random>
#include <type_traits>
#include <unordered_set>

#include "agent/capture/recording.h"

namespace wirespan {
namespace {

constexpr std::int64_t kToldEvery = 100'000'000;

template <class T>
constexpr bool kFromRing =
    std::is_same_v<T, event::Opened> || std::is_same_v<T, event::Data> || std::is_same_v<T, event::Closed> ||
    std::is_same_v<T, event::Wake> || std::is_same_v<T, event::Handover> || std::is_same_v<T, event::Births> ||
    std::is_same_v<T, event::Forked> || std::is_same_v<T, event::ProcessExited> ||
    std::is_same_v<T, event::ThreadExited>;

// Whose doing an event is: the agent would notice by the gap in what it is told of the thread.
ThreadRef thread_of(const event::Data& e) {
  return e.actor.thread;
}
ThreadRef thread_of(const event::Opened& e) {
  return e.actor.thread;
}
ThreadRef thread_of(const event::Wake& e) {
  return e.waker.thread;
}
ThreadRef thread_of(const event::Handover& e) {
  return e.actor.thread;
}
template <class T>
ThreadRef thread_of(const T& /*other*/) {
  return {};
}

BootTime time_of(const Event& event) {
  return std::visit(
      [](const auto& e) {
        if constexpr (requires { e.time; }) {
          return e.time;
        } else {
          return BootTime{};
        }
      },
      event);
}

class Degrade : public Sink<Event> {
 public:
  Degrade(RecordingWriter& out, double share, std::uint64_t seed) : out_(out), dropped_(share), random_(seed) {}

  void accept(const Event& event) override {
    const bool from_ring = std::visit([](const auto& e) { return kFromRing<std::decay_t<decltype(e)>>; }, event);
    const ThreadRef thread = std::visit([](const auto& e) { return thread_of(e); }, event);
    if (from_ring && dropped_(random_)) {
      ++lost_;
      ++all_;
      if (thread.tid != 0) missed_.insert(thread.tid);
      return;
    }
    if (from_ring && missed_.erase(thread.tid) != 0) out_.accept(event::Missed{time_of(event), thread});
    out_.accept(event);
    const auto* tick = std::get_if<event::Tick>(&event);
    if (tick == nullptr || lost_ == 0 || tick->time - told_ < kToldEvery) return;
    out_.accept(event::Lost{tick->time, "ringbuf_full", std::exchange(lost_, 0)});
    told_ = tick->time;
  }
  [[nodiscard]] std::uint64_t all() const { return all_; }

 private:
  RecordingWriter& out_;
  std::bernoulli_distribution dropped_;
  std::mt19937_64 random_;
  std::unordered_set<std::uint32_t> missed_;  // threads
  std::uint64_t lost_ = 0;
  std::uint64_t all_ = 0;
  BootTime told_{};
};

int fail(const Error& error) {
  std::fprintf(stderr, "wirespan-degrade: %s\n", error.text().c_str());
  return 1;
}

int run(const char* in, const char* out, double percent, std::uint64_t seed) {
  Counters counters;
  auto source = RecordingSource::open(in, counters);
  if (!source) return fail(source.error());
  const HostFacts host = (*source)->host() ? *(*source)->host() : HostFacts{};
  auto writer = RecordingWriter::create(out, host, nullptr, counters);
  if (!writer) return fail(writer.error());
  Degrade degrade(**writer, percent / 100, seed);
  const std::atomic<bool> stop{false};
  if (const Status ran = (*source)->run(degrade, stop); !ran) return fail(ran.error());
  if (const Status written = (*writer)->flush(); !written) return fail(written.error());
  std::printf("%llu events left out\n", static_cast<unsigned long long>(degrade.all()));
  return 0;
}

}  // namespace
}  // namespace wirespan

int main(int argc, char** argv) {
  const double percent = argc > 3 ? std::strtod(argv[3], nullptr) : -1;
  if (argc < 4 || percent < 0 || percent > 100) {
    std::fprintf(stderr, "usage: wirespan-degrade IN OUT PERCENT [SEED]\n");
    return 2;
  }
  return wirespan::run(argv[1], argv[2], percent, argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1);
}
