// Recorded conversations through streams, protocols and pairing, as capture would have seen them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/pairing/pairer.h"
#include "agent/protocols/detector.h"
#include "agent/protocols/registry.h"
#include "agent/protocols/testing/recording.h"
#include "agent/streams/streams.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan::protocols::testing {

// Keeps finished exchanges and checks the order the correlator is promised.
class ExchangeLog : public Sink<ExchangeItem> {
 public:
  void accept(const ExchangeItem& item) override;
  void clear();
  [[nodiscard]] const std::vector<ExchangePtr>& finished() const { return finished_; }
  [[nodiscard]] const std::vector<std::string>& mistakes() const { return mistakes_; }
  [[nodiscard]] std::size_t touches() const { return touches_; }

 private:
  std::vector<ExchangePtr> finished_;
  std::map<std::uint64_t, bool> state_;  // number -> finished
  std::vector<std::string> mistakes_;
  std::size_t touches_ = 0;
};

class VerdictLog : public VerdictSink {
 public:
  void set(ConnId conn, Verdict verdict) override { verdicts.emplace_back(conn, verdict); }
  std::vector<std::pair<ConnId, Verdict>> verdicts;
};

// The three stages.
struct Stages {
  explicit Stages(const Options& options = {}, const StreamsOptions& streams_options = {},
                  const DetectorOptions& detector_options = {}, const PairerOptions& pairer_options = {})
      : pairer(log, counters, pairer_options),
        detector(all(options), pairer, &verdicts, counters, detector_options),
        streams(detector, counters, streams_options) {}
  Counters counters;
  ExchangeLog log;
  VerdictLog verdicts;
  Pairer pairer;
  Detector detector;
  Streams streams;
};

struct ReplayOptions {
  SpanRole role = SpanRole::kServer;
  // Bytes captured of each call, or of each turn (calls in one direction until the other moves); the rest is known by
  // length and tail only.
  std::size_t captured = SIZE_MAX;
  bool by_turn = false;
  bool tail = true;
  bool adopted = false;
  // Cuts one call into several: sizes of the parts of call `index` with `size` bytes; empty keeps it whole.
  std::function<std::vector<std::size_t>(std::size_t index, std::size_t size)> split;
  // Called instead of Streams::accept for each event, in order; to drop and reorder.
  std::function<void(std::size_t index, const Event& event, Streams& streams)> deliver;
  // Skips calls before this index, as if the agent had come then.
  std::size_t from = 0;
  Options protocol;  // of replay()
};

struct Outcome {
  std::vector<ExchangePtr> exchanges;  // by connection, then by time and position of the request
  std::vector<std::string> mistakes;
  std::vector<std::pair<ConnId, Verdict>> verdicts;
  std::map<std::string, std::uint64_t> counters;
  [[nodiscard]] nlohmann::ordered_json json() const;
};
[[nodiscard]] bool same(const std::vector<ExchangePtr>& a, const std::vector<ExchangePtr>& b);

// Many replays through the same stages, each on connections of its own. Without counters.
class Replayer {
 public:
  explicit Replayer(const Options& options = {}) : stages_(options) {}
  [[nodiscard]] Outcome run(const Recording& recording, const ReplayOptions& options = {});
  [[nodiscard]] Stages& stages() { return stages_; }

 private:
  Stages stages_;
};

// One replay, with counters.
[[nodiscard]] Outcome replay(const Recording& recording, const ReplayOptions& options = {});

}  // namespace wirespan::protocols::testing
