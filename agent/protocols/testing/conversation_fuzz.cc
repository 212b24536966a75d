// Anything at all through streams, protocols and pairing. The input is what two peers say, with commands in it, so that
// plain text is already a good seed (tests/tools/fuzz_seeds.py makes some from a protocol's recordings). 0xff and
//   0..3   what came since the last command is one call: received, sent; the same with only its first bytes captured
//   4 n    n * 257 bytes pass uncaptured in the direction of the last call
//   5      the next call is lost
//   6 n    n * 10 ms go by; enough of them and everything waiting is due
//   7, 8   the connection is closed, reset; another begins
//   9      the next call is held back until the one after it has gone
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "agent/protocols/testing/replay.h"

namespace wirespan {
namespace {

constexpr std::size_t kShort = 40;

class Player {
 public:
  explicit Player(bool adopted) : stages_(options(), {}, limits()), adopted_(adopted) { connect(); }

  void play(const std::uint8_t* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      if (data[i] != 0xff) {
        text_.push_back(static_cast<char>(data[i]));
        continue;
      }
      const std::uint8_t command = i + 1 < size ? data[++i] : std::uint8_t{7};
      const std::uint8_t amount = (command == 4 || command == 6) && i + 1 < size ? data[++i] : std::uint8_t{1};
      run(command, amount);
    }
    call(Direction::kReceived, SIZE_MAX);
    close(event::Closed::How::kClosed);
    time_ += 10'000'000'000U;
    stages_.streams.accept(event::Tick{{time_}});
    stages_.pairer.finish({time_});
    check();
  }

 private:
  static protocols::Options options() {
    protocols::Options out;
    out.request_headers = {"host", "x-a"};
    out.response_headers = {"server"};
    return out;
  }
  // Small, so that the bounds are reached too.
  static protocols::DetectorOptions limits() {
    protocols::DetectorOptions out;
    out.max_lane_bytes = 4096;
    out.max_total_bytes = 16384;
    return out;
  }

  void connect() {
    auto conn = std::make_shared<Connection>();
    conn->id = ConnId{++connections_};
    conn->adopted = adopted_;
    conn->has_base = true;
    conn_ = conn;
    positions_[0] = positions_[1] = adopted_ ? 1000 : 0;
    lose_ = hold_ = false;
    held_.reset();
  }

  void run(std::uint8_t command, std::uint8_t amount) {
    switch (command) {
      case 0:
      case 2:
        return call(Direction::kReceived, command == 0 ? SIZE_MAX : kShort);
      case 1:
      case 3:
        return call(Direction::kSent, command == 1 ? SIZE_MAX : kShort);
      case 4:
        return pass(std::uint32_t{amount} * 257);
      case 5:
        lose_ = true;
        return;
      case 6:
        time_ += std::uint64_t{amount} * 10'000'000;
        stages_.streams.accept(event::Tick{{time_}});
        return;
      case 7:
      case 8:
        close(command == 7 ? event::Closed::How::kClosed : event::Closed::How::kReset);
        return connect();
      case 9:
        hold_ = true;
        return;
      default:
        text_.push_back(static_cast<char>(command));
    }
  }

  void call(Direction direction, std::size_t captured) {
    direction_ = direction;
    const std::string bytes = std::move(text_);
    text_.clear();
    if (bytes.empty()) return;
    event::Data data;
    data.captured = as_bytes(std::string_view(bytes).substr(0, captured));
    data.length = static_cast<std::uint32_t>(bytes.size());
    if (bytes.size() > captured) data.tail = as_bytes(std::string_view(bytes).substr(bytes.size() - 16));
    deliver(std::move(data), bytes);
  }

  void pass(std::uint32_t length) {
    event::Data data;
    data.length = length;
    deliver(std::move(data), "");
  }

  void deliver(event::Data data, const std::string& bytes) {
    data.conn = conn_;
    data.direction = direction_;
    data.time = {time_ += 1000};
    data.actor.thread = {1, 2};
    std::uint64_t& position = positions_[static_cast<std::size_t>(direction_)];
    data.position = position;
    position += data.length;
    if (std::exchange(lose_, false)) return;
    if (std::exchange(hold_, false) && !held_) {
      held_bytes_ = bytes;
      if (!data.captured.empty())
        data.captured = as_bytes(std::string_view(held_bytes_).substr(0, data.captured.size()));
      data.tail = {};
      held_ = std::move(data);
      return;
    }
    stages_.streams.accept(Event(std::move(data)));
    if (held_) stages_.streams.accept(Event(*std::exchange(held_, std::nullopt)));
    if (stages_.detector.buffered_bytes() > 65536) fail("buffers grow");
  }

  void close(event::Closed::How how) { stages_.streams.accept(event::Closed{conn_, {time_ += 1000}, how}); }

  void check() {
    for (const std::string& mistake : stages_.log.mistakes()) fail(mistake.c_str());
    if (stages_.pairer.open() != 0) fail("exchanges are left");
    if (stages_.streams.connections() != 0 || stages_.detector.connections() != 0) fail("connections are left");
    if (stages_.detector.buffered_bytes() != 0) fail("bytes are left");
    for (const ExchangePtr& e : stages_.log.finished()) {
      if (e->request == nullptr || e->request->conn != e->conn) fail("half an exchange");
      if (e->request->rare_values.size() > 16) fail("too many rare values");
    }
  }

  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  }

  protocols::testing::Stages stages_;
  bool adopted_;
  ConnectionPtr conn_;
  std::uint64_t connections_ = 0;
  std::uint64_t positions_[2] = {0, 0};
  std::uint64_t time_ = 1'000'000'000;
  std::string text_;
  Direction direction_ = Direction::kReceived;
  bool lose_ = false;
  bool hold_ = false;
  std::optional<event::Data> held_;
  std::string held_bytes_;
};

}  // namespace
}  // namespace wirespan

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  wirespan::Player((data[0] & 1U) != 0).play(data, size);
  return 0;
}
