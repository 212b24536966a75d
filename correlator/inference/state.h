// What inference keeps of a process and of a service. For the files of this folder.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "correlator/inference/calibration.h"
#include "correlator/inference/inference.h"
#include "correlator/inference/service_model.h"
#include "correlator/inference/solver.h"
#include "correlator/inference/spot.h"

namespace wirespan::inference {

inline constexpr std::int64_t kLateUs = 2000;  // work may end so long after its request's answer
inline constexpr float kOrphan = -25;          // log-probability per tick of a call that no request caused
inline constexpr Solver::Effort kDecisive{10, 20, 5, 2, false};

// Both live in their process's pools and are named by index there.
struct Inference::Request {
  std::uint64_t id = 0;
  std::int64_t start = 0;  // us
  std::int64_t end = kOpen;
  std::uint32_t local = 0;  // index in the solver while its stretch is loaded
  std::uint16_t op = 0;
  Spot read;
  Spot answered;
  bool veiled = false;
  bool retired = false;
  bool endless = false;  // given up: its end is not known
};

struct Inference::Call {
  std::uint64_t id = 0;
  std::int64_t start = 0;  // us
  std::int64_t end = kOpen;
  std::int64_t parent = kUnplaced;        // a request, from the last solution; kOrphan
  std::vector<std::uint32_t> candidates;  // requests open at its start
  std::uint16_t key = 0;
  Spot began;
  Spot ended;
  bool decided = false;
  bool observed = false;  // by learn_mixtures
  bool tested = false;    // known, but decided once more as if it were not
  static constexpr std::int64_t kOrphan = -1;
  static constexpr std::int64_t kUnplaced = -2;
};

// Requests and calls that overlap in time, so that they can only be judged together: from one moment at which the
// process was idle to the next.
struct Inference::Stretch {
  std::vector<std::uint32_t> requests;  // in order of start
  std::vector<std::uint32_t> calls;     // in order of start
  bool closed = false;
};

// A request whose calls are certain, times from its start: what ambiguity is rehearsed with.
struct Example {
  std::int64_t end = 0;
  std::vector<CallTimes> calls;
};

struct Inference::Service {
  explicit Service(Shared& shared)
      : model(shared, &starts, &finishes),
        passes{ServiceModel(shared, &starts, &finishes), ServiceModel(shared, &starts, &finishes)} {}
  RelationMixture starts;
  RelationMixture finishes;
  ServiceModel model;
  ServiceModel passes[2];  // model plus what waits in the window, while the model knows little
  int pass = -1;           // the newer of them, -1 before the first
  std::unordered_map<std::string, std::uint16_t> ops;
  std::unordered_map<std::string, std::uint16_t> keys;
  std::int64_t tick = 0;  // us, granularity of the clock
  std::int64_t first_time = -1;
  std::int64_t slowest = 0;                    // us, slowly forgotten
  std::vector<std::vector<Example>> examples;  // by op
  std::uint32_t kept = 0;
  std::uint32_t rehearsals = 0;
  Calibration calibration;  // by rehearsal
  Calibration tested;       // on calls whose parent was certain
  float made = 0;           // calls, lately
  float certain = 0;        // of them
  float drawn = 0;          // of those, by what has nothing to do with how hard the others are (headers)
};

struct Inference::Process {
  Service* service = nullptr;
  std::vector<Request> requests;
  std::vector<Call> calls;
  std::vector<std::uint32_t> free_requests;
  std::vector<std::uint32_t> free_calls;
  std::vector<std::uint32_t> open;  // requests
  std::deque<Stretch> stretches;    // the last is the one that grows
};

}  // namespace wirespan::inference
