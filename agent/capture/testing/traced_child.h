// A child process to trace: it does what a test says, before the agent attached and after. The agent never traces
// itself, so what is to be seen must happen in another process.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/capture/kernel_source.h"
#include "model/event.h"

namespace wirespan::testing {

// A Data event with its own copy of the bytes.
struct SeenData {
  ConnectionPtr conn;
  Direction direction{};
  BootTime time{};
  Actor actor;
  std::uint64_t position = 0;
  std::uint32_t length = 0;
  std::string captured;
  std::string tail;
};

struct Seen {
  Plan plan{};                // by which it was
  std::vector<Event> events;  // in order; Data without its views
  std::vector<SeenData> data;
  std::vector<event::Opened> opened;
  std::vector<event::Closed> closed;
  std::map<std::string, std::uint64_t> lost;  // counters, those that are not zero

  // Connections in order of their first event.
  [[nodiscard]] std::vector<ConnectionPtr> connections() const;
  [[nodiscard]] std::vector<SeenData> data_of(ConnId id, Direction direction) const;
  // All bytes moved in that direction, '?' where they were not captured; gaps in positions show as "<gap>".
  [[nodiscard]] std::string stream(ConnId id, Direction direction) const;
  template <class Kind>
  [[nodiscard]] std::vector<Kind> all() const {
    std::vector<Kind> out;
    for (const Event& e : events) {
      if (const auto* kind = std::get_if<Kind>(&e)) out.push_back(*kind);
    }
    return out;
  }
};

struct Script {
  std::set<std::string> may_lose;        // counters that do not fail the test
  std::function<void()> before = [] {};  // in the child, before the agent is attached
  std::function<void()> after = [] {};   // in the child, traced
  // In the agent, on each event, on its thread.
  std::function<void(const Event&, KernelSource&)> on_event = [](const Event&, KernelSource&) {};
  // Else selects the child by pid.
  std::function<void(KernelOptions&, pid_t child)> options = [](KernelOptions& o, pid_t child) {
    o.selectors.pids = {static_cast<std::uint32_t>(child)};
  };
};

// Runs the script to the child's end and gives what was seen until a moment after. Fails the test when the agent cannot
// attach or the child dies of something else than success.
[[nodiscard]] Seen trace(const Script& script);

// Called in the child: ends it with a message when something the test relies on does not work.
void must(bool ok, const char* what);

struct Ends {
  int client = -1;
  int server = -1;
  int listener = -1;
};
// Two ends of a TCP connection over loopback, both in the calling process.
[[nodiscard]] Ends tcp_pair(int family);
// "name" empty: an abstract address made of the pid.
[[nodiscard]] Ends unix_pair(const std::string& path);

void write_all(int fd, std::string_view bytes);
// Reads exactly that many bytes, in as few calls as possible.
std::string read_exactly(int fd, std::size_t size);

// Another program as the child: a real runtime instead of what a test says. It writes a byte when it is up, waits for a
// line, and ends with status 0.
class Program {
 public:
  // In Script::before. Ends with the process that started it.
  void start(std::vector<std::string> command);
  // In Script::after: lets it go on and waits for its end.
  void finish() const;

 private:
  pid_t child_ = 0;
  int go_on_ = -1;
};

}  // namespace wirespan::testing
