// Whom the event loop of a Node process works for, by Node's own numbers (event::Async).
//
// Numbers are given out in order, so one belongs to whom the loop worked for when it was given: a stretch of numbers.
// What runs in a context works for whom that context's number was given; where what it was made by (its trigger) is
// known and is another's, for that one: http.Agent runs a request that waited in the scope of the one that made it,
// though another's response set it free. Continuations of promises run in no context: they belong to what was read last
// or, if a promise was resolved since, to who resolved it. A connection's own numbers are older than what it is used
// for, and say nothing. Callbacks of several run one after the other, untold: a number is whose timer was set just
// then.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/generations.h"
#include "model/event.h"

namespace wirespan {

struct Work {
  std::uint64_t request = 0;  // number of the SERVER exchange; 0: not known
  std::uint64_t via = 0;      // number of the call whose response led here; 0: none did
  std::uint8_t doubt = 0;     // of AsyncWork::How, what of the way here may be wrong
  bool operator==(const Work&) const = default;
};

// One process's main thread. Bounded memory. Not thread-safe.
class AsyncWork {
 public:
  // How it is known whom something was done for: each way holds in some programs and not in others. kMixed and kReused
  // are doubts, which what follows from such work inherits.
  enum How : std::uint8_t {
    kInTurn = 1,  // by what the loop had read, or by who resolved a promise
    kMixed = 2,   // by a number given while the loop went through timers of several
    kReused = 4,  // sent on a connection in the turn in which that was read from, or by a number given then: it may
                  // have waited for that
    kHeard = 8,   // by who waited for its response (`heard`)
  };
  static constexpr std::size_t kHows = 16;

  // Whether a request is being served still.
  using IsOpen = std::function<bool(std::uint64_t request)>;

  void observe(const event::Async& event, const IsOpen& is_open);
  // Events were lost.
  void unsure();

  // Whom the last event told was done for.
  [[nodiscard]] Work now() const { return now_; }
  [[nodiscard]] std::uint8_t how() const { return how_ | now_.doubt; }
  // The last event was the first promise resolved after a response was read, in a context older than that: whoever
  // waits for the response made that context. `by` is for whom, and what had led there; `agrees`: it is whom `call`,
  // the response's, is thought to be made for.
  struct Heard {
    std::uint64_t call = 0;
    Work by;
    bool agrees = false;
  };
  [[nodiscard]] std::optional<Heard> heard() const { return heard_; }
  // What has queued the call that was sent last, where it is not known whose it is; 0: that is not known either.
  [[nodiscard]] std::uint64_t cause() const { return cause_; }
  [[nodiscard]] bool sends_on(ConnId conn) const { return last_.where == Where::kSends && last_.connection == conn; }

  // What was read last, from that connection, is of `work`; of a response `via` is its call, also where nothing else is
  // known.
  void reading(ConnId conn, Work work, bool server);
  // What was written last, to that connection, is a call; what comes back belongs to `work`.
  void calls(ConnId conn, Work work);
  // It takes requests.
  void serves(ConnId conn);
  void closed(ConnId conn) { lines_.erase(conn); }

 private:
  using Where = event::Async::Where;

  struct Stretch {
    std::uint64_t first = 0;
    Work work;
    bool mixed = false;  // timers of others may have run in it
  };
  struct Span {
    std::uint64_t first = 1;
    std::uint64_t last = 0;
    [[nodiscard]] bool holds(std::uint64_t id) const { return first <= id && id <= last; }
  };
  struct Known {
    Work work;
    // By the timer that was set just then. It may have been an old one (a repeated one asks for the time as well), and
    // the number somebody else's: what made it says more.
    bool by_timer = false;
  };
  struct Line {
    Work work;  // whom what is read belongs to
    Span born;  // numbers given when it was connected, and when it was written to last: some are its own
    Span written;
    Span read;              // numbers given in the turn in which it was read from last
    std::uint64_t own = 0;  // its number, where that is known
    bool server = false;
    bool parsed = false;      // its messages are told by who reads them
    bool connecting = false;  // nothing was sent yet
    bool waiting = false;     // something was sent, nothing read since
    bool shared = false;      // several wrote to it before anything was read: whose answers come is not known
    [[nodiscard]] bool owns(std::uint64_t id) const { return id == own || born.holds(id) || written.holds(id); }
  };

  Work done_for(const event::Async& event, const IsOpen& is_open);
  // Of a number older than what is going on. nullopt: it says nothing of whom this is for.
  // `made_known`: what made it is known to say nothing else.
  [[nodiscard]] std::optional<Work> owner(std::uint64_t id, bool made_known, const IsOpen& is_open) const;
  // What is known of it where no request is: the call whose response led to it, of whoever that is.
  [[nodiscard]] Work led_to(const event::Async& event) const;
  [[nodiscard]] const Stretch* stretch_of(std::uint64_t id) const;
  void begin_stretch(std::uint64_t first, Work work, bool mixed);
  void received(const event::Async& event);
  void sent(const event::Async& event);
  void taken(const event::Async& event);
  void set_timer(const event::Async& event);
  [[nodiscard]] bool reuses(const event::Async& event, const Line& line) const;
  void end_turn(std::uint64_t given);
  void resolved(const event::Async& event, const IsOpen& is_open);
  Line& line_of(ConnId conn);

  event::Async last_;
  std::uint64_t told_ = 0;  // the last number given when something but a timer was told of
  Work now_;
  std::uint8_t how_ = 0;
  // What goes on until something else is told: since which number, on which connection, and for whom what runs in no
  // context is.
  bool begun_ = true;  // by something no socket told of
  ConnId from_{};
  std::uint64_t since_ = 0;
  Work turn_;
  bool resolved_ = false;  // something, since it was read
  std::optional<Heard> heard_;
  // What a kept socket was taken for last, what made that and what had led there, where it is not known whose it is.
  std::uint64_t queued_ = 0;
  std::uint64_t queued_by_ = 0;
  Work queued_for_;
  std::uint64_t cause_ = 0;
  std::deque<Stretch> stretches_;  // ascending
  std::unordered_map<ConnId, Line> lines_;
  Generations<std::uint64_t, Known> remembered_;
};

}  // namespace wirespan
