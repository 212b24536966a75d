// Which incoming request caused each outgoing call, from timing and structure alone.
//
// Fed in order of time, from the live agent and from a file alike. A decision uses nothing later than the window after
// the call's start. One thread. Times in nanoseconds of any one clock. Bounded memory: see Options; what is given up
// is counted.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "correlator/inference/calibration.h"
#include "correlator/inference/service_model.h"
#include "correlator/inference/solver.h"

namespace wirespan::inference {

struct Candidate {
  std::uint64_t request = 0;
  float probability = 0;
};

struct Decision {
  std::uint64_t call = 0;
  std::uint64_t parent = 0;               // 0: none
  float confidence = 0;                   // calibrated probability that parent is right
  bool given_up = false;                  // over budget: nothing was weighed
  float runner_up_distance = 0;           // log-odds of parent against the next best
  std::span<const Candidate> candidates;  // most probable first, parent among them; valid during the callback
};

struct Options {
  std::int64_t window_ns = 2'000'000'000;
  std::size_t max_open_requests = 65536;   // over all processes
  std::size_t max_waiting_calls = 262144;  // undecided, over all processes
  std::size_t max_candidates = 256;        // per call
  // Weighing one call against one request is a unit of work. A call with 5 to 128 candidates takes some 50 us of CPU
  // time (bench_correlator_inference), so a unit is 10 us at 5 and less than one at 128. Past this many in a second, by
  // the events' own clock, calls are given up unweighed. 0: no limit.
  std::uint32_t max_work_per_second = 0;
  std::size_t max_densities = 4096;  // learned delay densities, 3 KiB each
};

// Where the solution of a stretch is not the truth: which of the two the model holds for likelier.
struct Comparison {
  std::size_t wrong = 0;            // stretches
  std::size_t answer_likelier = 0;  // of them: no search could have found the truth
  double difference = 0;            // of the logarithms, summed over the wrong ones: the answers' less the truth's
};

class Inference {
 public:
  using Sink = std::function<void(const Decision&)>;

  Inference(const Options& options, Counters& counters, Sink sink);
  ~Inference();

  // A process to trace: learned per service, decided per service and instance.
  std::uint32_t process(std::string_view service, std::string_view instance);

  void request_started(std::uint32_t process, std::uint64_t id, std::string_view op, std::int64_t time_ns,
                       const Spot& read = {});
  // More of it was read.
  void request_read(std::uint64_t id, const Spot& read);
  // The first of its answer was sent.
  void request_answered(std::uint64_t id, const Spot& answered);
  void request_ended(std::uint64_t id, std::int64_t time_ns);
  // False: too many wait already, nothing will be decided.
  bool call_started(std::uint32_t process, std::uint64_t id, std::string_view peer, std::string_view op,
                    std::int64_t time_ns, const Spot& began = {});
  // Other evidence is certain of its parent: nothing to decide, all to learn from. drawn: which calls it is certain of
  // has nothing to do with how hard they are to place.
  void call_known(std::uint64_t id, std::uint64_t request, bool drawn = false);
  void call_ended(std::uint64_t id, std::int64_t time_ns, const Spot& ended = {});

  // Decides what is due at this time; the other calls do so by themselves as time passes.
  void advance(std::int64_t now_ns);
  // Decides everything.
  void finish();

  // For studies of what the model can tell at all, not for decisions. Gives a call's true request, or 0.
  using Truth = std::function<std::uint64_t(std::uint64_t call)>;
  void compare_with(Truth truth) { truth_ = std::move(truth); }
  [[nodiscard]] const Comparison& comparison() const { return comparison_; }

 private:
  struct Request;
  struct Call;
  struct Stretch;
  struct Process;
  struct Service;

  void settle(Process& process, std::int64_t now, bool everything);
  // Whether calls that were picked for a test keep the parent they are known to have.
  enum class Picked : std::uint8_t { kFixed, kFree };
  // The first `most` calls, and the requests that started by then.
  void load(Process& process, const Stretch& stretch, Picked picked,
            std::size_t most = std::numeric_limits<std::size_t>::max());
  void learn_mixtures(Process& process, const Stretch& stretch);
  static void learn_chances(const Process& process, const Stretch& stretch, std::int64_t until, ServiceModel& model);
  void remember(Process& process, const Stretch& stretch);
  static float distance_to_next(std::span<const float> shares, std::size_t chosen);
  static float confidence(const Service& service, const Call& call, float share, std::size_t candidates);
  // Places the picked calls as if their parents were not known, and notes what such an answer is worth.
  void test(Process& process, const Stretch& stretch, std::int64_t until, const ServiceModel& model);
  void decide(Process& process, const Stretch& stretch, std::int64_t until);
  void forget_endless(Process& process, std::int64_t now);
  // Takes the work of a stretch from the budget; false: it does not fit.
  bool afford(const Process& process, const Stretch& stretch, std::int64_t now);
  void give_up(Process& process, const Stretch& stretch, std::int64_t until);
  void retire(Process& process, Stretch& stretch, std::int64_t until);
  void keep_examples(Process& process, const Stretch& stretch);
  // What the solution of an ambiguous stretch is worth; the solver still holds it (rehearsal.cc).
  void rehearse(Process& process, const Stretch& stretch, const ServiceModel& model);
  void rehearse_part(Process& process, const Stretch& stretch, std::size_t first, const ServiceModel& model);
  // The solver still holds the solution, and keeps it.
  void compare(const Process& process, const Stretch& stretch, const ServiceModel& model);
  static std::int64_t observe_time(Service& service, std::int64_t time_ns);
  std::uint16_t intern(std::unordered_map<std::string, std::uint16_t>& names, std::string_view a, std::string_view b);

  Options options_;
  Sink sink_;
  Shared shared_;
  std::vector<std::unique_ptr<Service>> services_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::unordered_map<std::string, std::uint32_t> service_by_name_;
  std::unordered_map<std::string, std::uint32_t> process_by_name_;
  struct Where {
    std::uint32_t process;
    std::uint32_t index;
  };
  static void forget(std::unordered_map<std::uint64_t, Where>& where, std::uint64_t id, std::uint32_t index);
  // Until nothing can be said of them any more: who a call was made for may be told after both have ended.
  std::unordered_map<std::uint64_t, Where> requests_;
  std::unordered_map<std::uint64_t, Where> calls_;
  std::size_t open_ = 0;  // requests, over all processes
  std::int64_t now_ = 0;
  std::uint32_t known_ = 0;
  std::int64_t next_tick_ = 0;
  std::size_t waiting_ = 0;
  std::string name_;
  std::vector<std::uint32_t> loaded_;
  Counter& lost_open_;
  Counter& lost_waiting_;
  Counter& over_budget_;
  double work_left_ = 0;
  std::int64_t work_since_ = 0;  // us
  Counter& lost_endless_;
  Solver solver_;
  Solver rehearsal_;
  std::uint64_t rng_ = 0x2545f4914f6cdd1dU;
  std::vector<Candidate> scratch_;
  Truth truth_;
  Comparison comparison_;
};

}  // namespace wirespan::inference
