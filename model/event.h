// What capture says: the kernel's facts, decoded, in ring-buffer order. Order is causal within a thread and for a
// wake-up (the waker's event precedes the wakee's next); across threads times may disagree with order by some
// microseconds.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "model/ids.h"

namespace wirespan {

// Ids in the initial pid namespace.
struct ThreadRef {
  std::uint32_t pid = 0;  // tgid
  std::uint32_t tid = 0;
  auto operator<=>(const ThreadRef&) const = default;
};

// Who did a piece of I/O, and within what: enough to tell which activation it belongs to.
struct Actor {
  ThreadRef thread;
  std::uint32_t loop =
      0;  // twice how often this thread has returned from epoll_wait, a turn of its event loop, and one more once that
          // wait's own timeout would have ended: from then on the loop may be running timers. Not poll and select:
          // blocking clients (CPython, PHP, libcurl) call those on one socket in the middle of a request
  std::uint64_t task = 0;         // goroutine id, or what is_context() says; 0 when the runtime has none
  std::uint64_t parent_task = 0;  // g.parentGoid, or the context it was copied in; 0 when unknown
};

// Tasks of Python are named by the time of their context's birth with the highest bit set; greenlets by an address that
// is theirs alone while they live; virtual threads of Java by their number. Only the first kind is told with ancestors.
inline constexpr std::uint64_t kContextTask = std::uint64_t{1} << 63U;
constexpr bool is_context(std::uint64_t task) {
  return (task & kContextTask) != 0;
}
// Tasks of tokio, by their Id: given out once in a process's life.
inline constexpr std::uint64_t kTokioTask = std::uint64_t{5} << 61U;
constexpr bool is_tokio(std::uint64_t task) {
  return task >> 61U == kTokioTask >> 61U;
}
constexpr BootTime born(std::uint64_t context) {
  return BootTime{context & ~kContextTask};
}

enum class Direction : std::uint8_t { kReceived, kSent };  // as the traced process sees it
constexpr Direction opposite(Direction d) {
  return d == Direction::kSent ? Direction::kReceived : Direction::kSent;
}

enum class Transport : std::uint8_t { kTcp, kUnix };
enum class TcpSide : std::uint8_t { kUnknown, kActive, kPassive };  // connect() or accept()

struct Address {
  enum class Family : std::uint8_t { kNone, kIpv4, kIpv6, kUnix };
  Family family = Family::kNone;
  std::array<std::uint8_t, 16> ip{};  // IPv4 in the first four, network order
  std::uint16_t port = 0;
  std::string path;                           // Unix sockets; abstract names start with '@'
  [[nodiscard]] std::string ip_text() const;  // "127.0.0.1", "::1", "" for Unix
  auto operator<=>(const Address&) const = default;
};

// One end of a connection. Shared, immutable once published.
struct Connection {
  ConnId id{};
  Transport transport = Transport::kTcp;
  TcpSide side = TcpSide::kUnknown;
  bool adopted = false;   // older than the agent: its first bytes were not seen
  std::uint32_t pid = 0;  // process that opened, accepted or first used it
  Address local;
  Address remote;
  // TCP: sequence number of the first payload byte of each direction, from rcv_nxt - bytes_received and
  // snd_una - bytes_acked (one lower on the active side, whose SYN bytes_acked counts). For an unknown side sent_base
  // is taken as passive's. Unix: base values made of the pair's socket inode numbers, equal on both ends.
  std::uint64_t received_base = 0;
  std::uint64_t sent_base = 0;
  bool has_base = false;
  BootTime opened{};
};
using ConnectionPtr = std::shared_ptr<const Connection>;

namespace event {

// connect() or accept() returned, or the agent found a connection older than itself (actor is then empty).
struct Opened {
  ConnectionPtr conn;
  Actor actor;
};

// One I/O call. Positions count payload bytes from the connection's base, so a lost event is a visible gap. Of length
// 0: the end of what the connection receives was read, told only of event loops and connections they made.
struct Data {
  ConnectionPtr conn;
  Direction direction{};
  BootTime time{};  // sent: before the call; received: after it. A sender is never later than its receiver.
  Actor actor;
  std::uint64_t position = 0;
  std::uint32_t length = 0;  // bytes moved by the call(s)
  // The first bytes of the call, at most `length`. Valid during the call of the sink only.
  Bytes captured;
  // The very last bytes when more was moved than captured (at most 16), else empty.
  Bytes tail;
};

struct Closed {
  ConnectionPtr conn;
  BootTime time{};
  enum class How : std::uint8_t { kClosed, kReset, kForgotten } how = How::kClosed;  // forgotten: table full
};

// A target thread made another target thread runnable (sched_waking).
struct Wake {
  BootTime time{};
  Actor waker;
  ThreadRef wakee;
  bool alone = false;  // the wakee waited for a word on its own stack: no queue's, no lock's
};

// A goroutine gives work to an object of its process's runtime, or takes work from one: what is handed over between
// goroutines cannot be told by who writes. Or a thread of Python gives a piece of work to a pool, or takes it there.
struct Handover {
  BootTime time{};
  Actor actor;  // by its task; of threads by that
  enum class Role : std::uint8_t {
    kCalls = 1,  // the actor's request goes out on the client connection `object` next
    kWrites,     // the actor is the goroutine that writes the requests of the client connection `object`
    kSends,      // the actor puts an element into the channel `object`
    kReceives,   // the actor waits for an element of the channel `object`
    kWakes,      // tokio: the actor makes the task `object` runnable
    kSpawns,     // tokio: the actor begins the task `object`; Go: the actor begins goroutines, which is not told
    kWatched,    // what is done with channels in the actor's process is told from here on
    kUnwatched,  // it is told no longer. By the agent, like kWatched: of no goroutine
    kGives,      // Python: the actor puts the piece of work `object` into a queue
    kTakes,      // Python: the actor took the piece of work `object`, 0: is back at a queue and has none
    kAsks,       // the actor is where it takes elements from channels; what it gets now, if anything, is not known
    kReplies,    // tokio: the actor sends a value through the oneshot `object`, whether or not anybody waits for it
    kGets,       // tokio: the actor sees the value that was sent through the oneshot `object`
    kLetsGo,     // tokio: the actor lets go of the semaphore `object`: a lock's, or that of a channel with a bound
    kMayGive,    // Python: as kGives and kTakes, of a queue of which is not known yet what it carries
    kMayTake,
  } role = Role::kCalls;
  std::uint64_t object = 0;  // an address: unique within the process while it lives; or a task
  std::uint64_t place = 0;   // channels: the element's slot in the buffer. kGives, kTakes: the queue, 0: not told.
                             // kWakes: the following two, kSpawns: the third
  static constexpr std::uint64_t kByReference = 1;
  static constexpr std::uint64_t kAnswersOnly = 2;  // the process's wake-ups by value are not told now
  static constexpr std::uint64_t kBlocking = 4;     // who is begun may block its thread (tokio's spawn_blocking)
  std::uint64_t other = 0;   // channels: the goroutine that already waits at the other end; 0: none
  std::uint32_t queued = 0;  // channels: elements in the buffer before. kTakes: in the queue, 0: not told
  std::uint32_t capacity = 0;
  std::uint64_t site = 0;  // channels: where in the program the operation is, an address of its code
  // Channels: a case of a select; it waits for all those told, or was the only one that was ready. Drawn: one of those
  // told was done, and which is not known, or one of others that are not told.
  enum class Select : std::uint8_t { kNone, kFirst, kAnother, kFirstDrawn, kAnotherDrawn } select = Select::kNone;
  // kSends: tells the element from others that are under way, by addresses it holds; 0: nothing does.
  std::uint64_t element = 0;
  [[nodiscard]] bool drawn() const { return select >= Select::kFirstDrawn; }
};

// Told just before a goroutine's read that may begin a request: for each processor of its runtime, the id the next
// goroutine created there gets, and in the high byte how many ids are left of its run of 16 (Go: _GoidCacheBatch).
struct Births {
  static constexpr std::size_t kMost = 64;
  BootTime time{};
  std::uint32_t pid = 0;
  std::uint64_t task = 0;
  std::uint32_t count = 0;
  std::array<std::uint64_t, kMost> next{};
};

// Told once for a Python context, before the first I/O done in it: the contexts it was born in, the parent first, then
// that one's parent and so forth. Only as many as are kept (kMost); empty when it is older than the agent.
struct Lineage {
  static constexpr std::size_t kMost = 12;
  BootTime time{};
  std::uint32_t pid = 0;
  std::uint64_t task = 0;
  std::uint32_t count = 0;
  std::array<std::uint64_t, kMost> ancestors{};
};

// In which asynchronous context a Node process's main thread is, by Node's own numbers (async_hooks), told just before
// what it does there. Numbers are given out in order, to all that may be come back to: a number belongs to whom the
// process worked for when it was given.
struct Async {
  BootTime time{};  // up to 10 ms too early
  std::uint32_t pid = 0;
  enum class Where : std::uint8_t {
    kReceives,  // it has read from `connection`
    kSends,     // it writes to `connection`
    kConnects,  // it connects `connection`
    kBegins,    // its loop turns to timers, immediates, results of other threads, new connections
    kMakes,     // it makes a socket, which gets the next number
    kResolves,  // it resolves a promise: what waits for that one runs next, in no context
    kSets,      // it sets a timer, new or once more: a new one's is the last number given
  } where = Where::kBegins;
  ConnId connection{};          // perhaps one whose data is not told
  std::uint64_t execution = 0;  // 0: none, or a promise's, which have no numbers
  std::uint64_t trigger = 0;    // the context in which that was made
  std::uint64_t given = 0;      // the last number given out
  std::uint32_t sequence = 0;   // of these events of the process: a gap tells that one was lost
};

// Told just before the response that is read on a connection: whose answer, or which thread, waits for it, by what its
// process's objects refer to (Java).
struct Leads {
  BootTime time{};
  std::uint32_t pid = 0;
  ConnId call{};           // the response's connection
  ConnId request{};        // the only accepted connection that is reached from there; none: a thread is
  std::uint64_t task = 0;  // that, if it is a virtual one
  std::uint32_t tid = 0;   // else
  // Read from what this thread works on, which has read the response itself; 0: from the response's channel.
  std::uint32_t worker = 0;
};

// Which futures a thread of a Java process works on, told just before the response that it reads; or holds while it
// waits for one, told just before it is woken. By their addresses, which hold until the next collection of garbage.
struct Holds {
  static constexpr std::size_t kMost = 16;
  static constexpr std::size_t kMostWaiting = 2;
  BootTime time{};
  ThreadRef thread;
  ConnId call{};  // the response's connection; none: it waits
  std::uint32_t collections = 0;
  std::uint64_t works_on = 0;  // a future that is not done; 0: none
  std::uint16_t waiters = 0;
  std::uint16_t count = 0;
  std::array<std::uint32_t, kMostWaiting> waiting{};  // threads (tid) that wait for what it works on
  std::array<std::uint64_t, kMost> futures{};         // what it works on leads to, or it holds
};

struct Forked {
  BootTime time{};
  ThreadRef parent;
  ThreadRef child;  // child.pid == parent.pid: a new thread
};

// First sight of a process, or exec. Raw facts only, read once; what they mean is enrich's business.
struct Process {
  BootTime time{};
  std::uint32_t pid = 0;
  std::uint32_t parent_pid = 0;
  BootTime started{};
  std::string exe;  // path as the process sees it
  std::string comm;
  std::vector<std::string> cmdline;  // arguments; secrets are redacted where they are exported
  std::string cwd;
  std::string cgroup;                 // path in the unified or systemd hierarchy
  std::vector<std::string> otel_env;  // "OTEL_SERVICE_NAME=..", "OTEL_RESOURCE_ATTRIBUTES=.." and no others
  std::string runtime;                // "go1.22.1", "jvm", "node", "python", "" when not known
  std::vector<std::uint16_t> listening;
};

struct ProcessExited {
  BootTime time{};
  std::uint32_t pid = 0;
};
struct ThreadExited {
  BootTime time{};
  ThreadRef thread;
};

// Events the kernel had to drop since the last such note.
struct Lost {
  BootTime time{};
  std::string reason;  // "ringbuf_full", "conn_map_full", ...
  std::uint64_t count = 0;
};

// What this thread did right before the next event of it was dropped: what it is in the middle of is not known.
struct Missed {
  BootTime time{};
  ThreadRef thread;
};

// A sampling window opens or shuts: of the whole host, so that whatever is seen of a request is seen of all it caused
// there. Between windows nothing is told of data; connections come back as if they were older than the agent.
struct Window {
  BootTime time{};
  bool open = true;
  double share = 1;  // of time in which windows are open
};

// A request was read before the window opened, or before we came, and is not answered yet: nothing else is known of it.
struct Unanswered {
  BootTime time{};
  ConnId connection{};  // perhaps not told yet; without its time (high half 0) where it has no id yet
  std::uint32_t pid = 0;
};

// What one side of a process's connections did between windows since it was last told, from counters of the kernel.
struct Counted {
  static constexpr std::size_t kSlots = 26;
  BootTime time{};
  std::uint32_t pid = 0;
  TcpSide side{};                             // passive: requests it served
  std::uint64_t requests = 0;                 // turns towards the server
  std::uint64_t answers = 0;                  // turns back
  std::uint64_t answer_ns = 0;                // from a request's first byte to its answer's, summed
  std::array<std::uint64_t, kSlots> slots{};  // answers by floor(log2(ns / 1024)); the last and longer
};

// Nothing happened for a while: lets stages close what is overdue. Also what makes a replay's timers deterministic.
struct Tick {
  BootTime time{};
};

}  // namespace event

using Event = std::variant<event::Opened, event::Data, event::Closed, event::Wake, event::Handover, event::Births,
                           event::Lineage, event::Async, event::Forked, event::Process, event::ProcessExited,
                           event::ThreadExited, event::Lost, event::Missed, event::Tick, event::Window,
                           event::Unanswered, event::Counted, event::Leads, event::Holds>;

}  // namespace wirespan
