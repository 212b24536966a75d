// Conversations recorded with real servers and clients (tests/tools/*_conversations.py), replayed as capture would
// have seen them: whole, split at every byte, byte by byte, and captured in part. Golden files say what comes out;
// WIRESPAN_UPDATE_GOLDEN=1 writes them anew. Compiled into the test of each protocol, which says where they lie.
#include "agent/protocols/testing/recordings_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/protocols/testing/exchange_json.h"
#include "agent/protocols/testing/recording.h"
#include "agent/protocols/testing/replay.h"

namespace wirespan::protocols::testing {
namespace {

using Json = nlohmann::ordered_json;

namespace gtest = ::testing;

std::filesystem::path folder() {
  return std::filesystem::path(WIRESPAN_SOURCE_DIR) / "agent/protocols" / recorded_protocol() / "testdata";
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".rec") out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Recorded : public gtest::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto loaded = load_recording(folder() / (GetParam() + ".rec"));
    ASSERT_TRUE(loaded) << loaded.error().text();
    recording = std::move(*loaded);
    ASSERT_FALSE(recording.empty());
  }

  void expect_same(const Outcome& expected, const Outcome& actual, const std::string& how) {
    EXPECT_THAT(actual.mistakes, gtest::IsEmpty()) << how;
    if (same(actual.exchanges, expected.exchanges)) return;
    const Json difference = Json::diff(expected.json(), actual.json());
    ADD_FAILURE() << how << ": " << difference.dump(1).substr(0, 4000);
  }

  static const Exchange* find(const Outcome& in, const ExchangeKey& key) {
    for (const ExchangePtr& e : in.exchanges) {
      if (e->key == key) return e.get();
    }
    return nullptr;
  }

  // A body's size may be left unsaid.
  static Json as_far(Json truth, const Json& part) {
    for (const char* const key : {"http.request.body.size", "http.response.body.size"}) {
      if (!part["attributes"].contains(key)) truth["attributes"].erase(key);
    }
    return truth;
  }

  // Each exchange of `part` is in `whole`, with the same answer; what is not marked incomplete is the same altogether.
  void expect_not_wrong(const Outcome& whole, const Outcome& part, bool tail, bool lost = false) {
    for (const ExchangePtr& e : part.exchanges) {
      if (!e->key.valid()) continue;  // a response whose request was not seen
      const Exchange* const truth = find(whole, e->key);
      ASSERT_NE(truth, nullptr) << "no message begins at " << e->request->position;
      EXPECT_EQ(e->request->first_byte.time, truth->request->first_byte.time);
      if (e->request->incomplete.empty() && truth->request->incomplete.empty() && !lost) {
        EXPECT_EQ(to_json(*e)["request"], as_far(to_json(*truth)["request"], to_json(*e)["request"]));
      }
      if (e->response == nullptr) continue;
      ASSERT_NE(truth->response, nullptr);
      EXPECT_EQ(e->response->position, truth->response->position);
      EXPECT_EQ(e->response->first_byte.time, truth->response->first_byte.time);
      if (e->response->incomplete.empty() && truth->response->incomplete.empty() && tail && !lost) {
        EXPECT_EQ(to_json(*e)["response"], as_far(to_json(*truth)["response"], to_json(*e)["response"]));
      }
    }
  }

  static std::function<void(std::size_t, const Event&, Streams&)> swap_with_previous(std::size_t early) {
    auto waiting = std::make_shared<std::optional<event::Data>>();
    auto bytes = std::make_shared<std::string>();
    return [early, waiting, bytes](std::size_t index, const Event& event, Streams& streams) {
      const auto* const data = std::get_if<event::Data>(&event);
      if (index == early - 1 && data != nullptr) {
        *bytes = as_text(data->captured);
        *waiting = *data;
        (*waiting)->captured = as_bytes(*bytes);
        return;
      }
      if (index == early && data != nullptr) {
        event::Data other = *data;
        other.actor.thread.tid += 1;  // of one thread, nothing is seen out of order
        streams.accept(other);
      } else {
        streams.accept(event);
      }
      if (index == early && data != nullptr && *waiting) {
        streams.accept(**waiting);
        waiting->reset();
      }
    };
  }

  static std::string brief(const Outcome& out) {
    std::string text;
    for (const ExchangePtr& e : out.exchanges) {
      const auto half = [](const MessagePtr& m) {
        return m == nullptr ? std::string("none")
                            : m->name + " at " + std::to_string(m->position) + " " +
                                  std::to_string(m->first_byte.time.ns / 1000) + ".." +
                                  std::to_string(m->last_byte.time.ns / 1000) + " " + std::string(m->incomplete);
      };
      text += "\n" + half(e->request) + " -> " + half(e->response) + " " + std::string(e->incomplete);
    }
    return text;
  }

  // Connections do not touch each other, so each can be replayed alone.
  [[nodiscard]] std::vector<Recording> by_connection() const {
    std::map<std::uint32_t, Recording> split;
    for (const Call& call : recording) split[call.connection].push_back(call);
    std::vector<Recording> out;
    for (auto& [number, calls] : split) out.push_back(std::move(calls));
    return out;
  }

  Recording recording;
};

TEST_P(Recorded, GivesTheGoldenExchanges) {
  const std::filesystem::path path = folder() / (GetParam() + ".json");
  Json actual;
  for (const SpanRole role : {SpanRole::kServer, SpanRole::kClient}) {
    ReplayOptions options;
    options.role = role;
    const Outcome out = replay(recording, options);
    EXPECT_THAT(out.mistakes, gtest::IsEmpty());
    actual[role == SpanRole::kServer ? "server" : "client"] = out.json();
  }
  if (std::getenv("WIRESPAN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << actual.dump(1) << "\n";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const Json golden = Json::parse(file);
  EXPECT_EQ(golden, actual) << Json::diff(golden, actual).dump(1);
}

TEST_P(Recorded, SplitAtEveryByte) {
  Replayer replayer;
  for (const Recording& one : by_connection()) {
    const Outcome expected = replayer.run(one);
    for (std::size_t call = 0; call < one.size(); ++call) {
      for (std::size_t at = 1; at < one[call].bytes.size(); ++at) {
        ReplayOptions options;
        options.split = [&](std::size_t index, std::size_t size) {
          return index == call ? std::vector<std::size_t>{at, size - at} : std::vector<std::size_t>{};
        };
        expect_same(expected, replayer.run(one, options),
                    "call " + std::to_string(call) + " split at " + std::to_string(at) + ": " + one[call].bytes);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(Recorded, ByteByByte) {
  ReplayOptions options;
  options.split = [](std::size_t, std::size_t size) { return std::vector<std::size_t>(size, 1); };
  expect_same(replay(recording), replay(recording, options), "single bytes");
}

// What was captured in part may be less, but never wrong.
TEST_P(Recorded, CapturedInPart) {
  Replayer replayer;
  for (const std::size_t captured : {16U, 64U, 100U, 256U, 512U, 1024U, 2048U, 4096U}) {
    for (const bool by_turn : {false, true}) {
      for (const bool tail : {true, false}) {
        for (const Recording& one : by_connection()) {
          const Outcome whole = replayer.run(one);
          ReplayOptions options;
          options.captured = captured;
          options.by_turn = by_turn;
          options.tail = tail;
          const Outcome part = replayer.run(one, options);
          EXPECT_THAT(part.mistakes, gtest::IsEmpty());
          expect_not_wrong(whole, part, tail);
          if (HasFailure()) {
            FAIL() << "captured " << captured << (by_turn ? " of each turn" : " of each call")
                   << (tail ? "" : ", no tail") << "\n"
                   << part.json().dump(1).substr(0, 6000);
          }
        }
      }
    }
  }
}

// With what is captured by default, the same comes out as if all had been, wherever a turn's head fits in.
TEST_P(Recorded, OneKibibyteOfEachTurnIsEnough) {
  constexpr std::size_t kDefault = 1024;
  std::size_t tried = 0;
  for (const Recording& one : by_connection()) {
    if (!heads_fit(one, kDefault)) continue;
    ++tried;
    ReplayOptions options;
    options.captured = kDefault;
    options.by_turn = true;
    expect_same(replay(one), replay(one, options), "connection " + std::to_string(one.front().connection));
  }
  if (tried == 0) GTEST_SKIP() << "one connection, and not all of it fits";
}

// The agent comes in the middle: what it then sees is right, and no body is taken for a message.
TEST_P(Recorded, JoinedAtEveryCall) {
  Replayer replayer;
  for (const Recording& one : by_connection()) {
    const Outcome whole = replayer.run(one);
    for (std::size_t from = 1; from < one.size(); ++from) {
      ReplayOptions options;
      options.adopted = true;
      options.from = from;
      const Outcome part = replayer.run(one, options);
      EXPECT_THAT(part.mistakes, gtest::IsEmpty());
      expect_not_wrong(whole, part, true);
      // Every request that began after another turn was seen must be there, answer and all.
      for (const ExchangePtr& truth : whole.exchanges) {
        if (truth->request->first_byte.time.ns / 1000 <= one[from].time_us || !truth->incomplete.empty()) continue;
        const Exchange* const seen = find(part, truth->key);
        ASSERT_NE(seen, nullptr) << "joined at call " << from << ": " << truth->request->name;
        EXPECT_TRUE(same(*seen, *truth)) << "joined at call " << from << ": "
                                         << Json::diff(to_json(*truth), to_json(*seen)).dump(1);
      }
      if (HasFailure()) return;
    }
  }
}

// One event is lost.
TEST_P(Recorded, EachCallLost) {
  Replayer replayer;
  for (const SpanRole role : {SpanRole::kServer, SpanRole::kClient}) {
    for (const Recording& one : by_connection()) {
      ReplayOptions options;
      options.role = role;
      const Outcome whole = replayer.run(one, options);
      for (std::size_t lost = 0; lost < one.size(); ++lost) {
        options.deliver = [&](std::size_t index, const Event& event, Streams& streams) {
          if (index != lost || std::holds_alternative<event::Opened>(event)) streams.accept(event);
        };
        const Outcome part = replayer.run(one, options);
        EXPECT_THAT(part.mistakes, gtest::IsEmpty());
        expect_not_wrong(whole, part, true, true);
        if (HasFailure())
          FAIL() << "lost call " << lost << ": " << one[lost].bytes << part.json().dump(1).substr(0, 4000);
      }
    }
  }
}

// Everything at once, at random: many events lost, others out of order, captured in part, joined late.
TEST_P(Recorded, RandomMishaps) {
  std::mt19937 random(7);
  const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  Replayer replayer;
  for (const Recording& one : by_connection()) {
    ReplayOptions options;
    for (unsigned round = 0; round < 40; ++round) {
      options.role = chance(50) ? SpanRole::kServer : SpanRole::kClient;
      options.deliver = {};
      options.split = {};
      options.adopted = false;
      options.captured = SIZE_MAX;
      options.from = 0;
      const Outcome whole = replayer.run(one, options);
      options.adopted = chance(20);
      options.from = options.adopted ? random() % one.size() : 0;
      options.captured = chance(50) ? 64 + random() % 1500 : SIZE_MAX;
      options.by_turn = chance(50);
      options.split = [&](std::size_t, std::size_t size) {
        const std::size_t first = size == 0 ? 0 : random() % size;
        return chance(30) && first > 0 ? std::vector<std::size_t>{first, size - first} : std::vector<std::size_t>{};
      };
      const unsigned loss = options.adopted ? 0U : static_cast<unsigned>(random() % 30);
      options.deliver = [&](std::size_t, const Event& event, Streams& streams) {
        if (!std::holds_alternative<event::Data>(event) || !chance(loss)) streams.accept(event);
      };
      const Outcome part = replayer.run(one, options);
      EXPECT_THAT(part.mistakes, gtest::IsEmpty());
      expect_not_wrong(whole, part, true, true);
      if (HasFailure()) FAIL() << "round " << round << brief(part);
    }
  }
}

// The thread that read is seen before the thread that wrote: neighbours change places, with their times.
TEST_P(Recorded, NeighboursOutOfOrder) {
  Replayer replayer;
  for (const Recording& one : by_connection()) {
    ReplayOptions options;
    options.role = SpanRole::kClient;
    const Outcome whole = replayer.run(one, options);
    for (std::size_t early = 1; early < one.size(); ++early) {
      const bool data = !one[early].bytes.empty() && !one[early - 1].bytes.empty();
      if (!data) continue;
      options.deliver = swap_with_previous(early);
      expect_same(whole, replayer.run(one, options), "call " + std::to_string(early) + " comes early");
      if (HasFailure()) return;
    }
  }
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Conversations, Recorded, gtest::ValuesIn(names()), [](const auto& param_info) {
  return std::string(recorded_protocol()) + "_" + param_info.param;
});

}  // namespace wirespan::protocols::testing
