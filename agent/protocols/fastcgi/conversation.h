// One FastCGI connection: which request each record belongs to, and where requests and answers begin and end.
//
// Threads: the pipeline's only. Memory: two messages for each of at most kMaxOpen requests; contents are never kept.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "agent/protocols/fastcgi/fastcgi.h"
#include "agent/protocols/fastcgi/record.h"
#include "agent/protocols/protocol.h"

namespace wirespan::fastcgi {

class FastCgiConversation : public protocols::Conversation {
 public:
  // `requests`: the direction they flow in, which stands at the beginning of a record; `from_start`: so does the other.
  // `unseen_until`: bytes were dropped before, the last of them then.
  FastCgiConversation(std::shared_ptr<Shared> shared, Direction requests, bool from_start, BootTime unseen_until);

  protocols::Step next(const protocols::Input& in, protocols::Output& out) override;
  protocols::Step missing(const protocols::Hole& hole, protocols::Output& out) override;
  void skipped(const Skipped& part, protocols::Output& out) override;
  void closed(const StreamClosed& closed, protocols::Output& out) override;

 private:
  enum class State : std::uint8_t {
    kRecord,   // a record begins here
    kBegin,    // the body of BEGIN_REQUEST
    kParams,   // the content of the first PARAMS record
    kHead,     // the content of the first STDOUT record
    kEnd,      // the body of END_REQUEST
    kContent,  // `left` bytes to go, and the padding
    // The place of records was lost. The bytes belong to what is open ...
    kAdrift,
    // ... or to nobody knows what.
    kResync,
  };
  struct Lane {
    State state = State::kRecord;
    Header record;
    std::uint64_t position = 0;  // of its header
    Touch touch;                 // of its header's first byte
    std::uint64_t at = 0;        // position behind what was looked at
    std::uint64_t left = 0;
    std::uint64_t padding = 0;
    bool counts = false;  // the content is of a body
    // kAdrift: the last bytes of what went by, as far as known
    std::array<std::uint8_t, kEndSize> last{};
    std::size_t last_size = 0;
  };
  // A request whose END_REQUEST was not seen.
  struct Open {
    std::uint16_t id = 0;
    Role role{};
    std::uint64_t position = 0;
    Touch begun;
    BootTime reused{};                  // a request that waits for this one to end began then, with the same id
    MessagePtr request;                 // null until its head was read
    MessagePtr response;                // null until its head was read
    std::uint64_t answer_position = 0;  // of the first record that answers, which may be one of STDERR
    Touch answer_begun;
    std::uint64_t asked = 0;  // bytes of the bodies so far
    std::uint64_t answered = 0;
    std::optional<std::uint64_t> asked_length;  // as announced
    std::optional<std::uint64_t> answered_length;
    bool asked_sized = true;  // all of the body's records were seen
    bool answered_sized = true;
    bool request_ended = false;
    bool aborted = false;
    bool hopeless = false;  // made while answers passed unseen: gets none
  };

  static std::size_t index(Direction d) { return static_cast<std::size_t>(d); }
  [[nodiscard]] bool requesting(Direction d) const { return d == requests_; }
  Lane& lane(Direction d) { return lanes_[index(d)]; }
  Lane& asking() { return lane(requests_); }
  Lane& answering() { return lane(opposite(requests_)); }
  [[nodiscard]] static bool lost_place(const Lane& lane) {
    return lane.state == State::kAdrift || lane.state == State::kResync;
  }

  protocols::Step at_record(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_asking_record(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_answering_record(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_begin(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_params(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_head(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step at_end(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step adrift(Lane& lane, const protocols::Input& in, protocols::Output& out);
  protocols::Step asking_adrift(Lane& lane, const protocols::Input& in, protocols::Output& out);
  void content(Lane& lane, std::uint64_t left, std::uint64_t padding, bool counts);

  Open* find(std::uint16_t id);
  // The open request that this record answers, null if none does.
  Open* asked(const Lane& lane);
  // What bytes belong to whose records cannot be told: the one that is open, null if there are several.
  Open* only();
  void request(Open& open, std::string_view params, bool cut, const Touch& last, protocols::Output& out);
  static void answer_begins(Open& open, std::uint64_t position, const Touch& touch);
  MessagePtr answer(Open& open, const Touch& last, protocols::Output& out);
  void response(Open& open, std::string_view head, bool complete, const Touch& last, protocols::Output& out);
  void refused(Open& open, ProtocolStatus status, const Touch& last, protocols::Output& out);
  void touched(Direction direction, Open* open, const Touch& touch, protocols::Output& out);
  void content_passed(Lane& lane, const Skipped& part, std::uint64_t length, protocols::Output& out);
  void adrift_passed(Lane& lane, const Skipped& part, std::uint64_t length, protocols::Output& out);
  void end_request(Open& open, protocols::Output& out);
  // Its END_REQUEST was seen, or it is known to be over.
  void finish(Open& open, protocols::Output& out);
  void forget(const Open& open) { open_.erase(open_.begin() + (&open - open_.data())); }
  // Where records begin is not known any more, from `position` on.
  void lose_place(Lane& lane, std::uint64_t position, const Touch& touch, bool lost, protocols::Output& out);
  // Answers went by, up to that time, that cannot be told to answer anything.
  void blind(BootTime time, protocols::Output& out);
  // What is open gets no answer that could be trusted.
  void lose_all(BootTime time, protocols::Output& out);
  void want_more(protocols::Output& out);

  std::shared_ptr<Shared> shared_;
  std::array<Lane, 2> lanes_;
  std::vector<Open> open_;  // oldest first
  Direction requests_;
  // Answers may have passed unseen until then, so a request made before gets none that could be trusted.
  BootTime blind_until_{};
  bool requests_lost_ = false;  // events were lost where requests begin, and none was seen to begin since
  bool wants_more_ = false;
  std::uint8_t strange_turns_ = 0;
};

}  // namespace wirespan::fastcgi
