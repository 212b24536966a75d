// Ways that need not be learned: through the client that comes with the JDK (java.net.http; seen in JDK 17 and 25) and
// its futures, up to a thread that waits, or through what functions have captured and what servers give to programs to
// the connection of a request. By the names of its classes; what a release calls otherwise is not there, and
// is learned (java_ways). From the channel over its key to the event its reader waits for, to whoever takes the
// response's head, to that one's future and what depends on it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/capture/java_machine.h"
#include "agent/capture/java_references.h"
#include "agent/capture/java_ways.h"
#include "bpf/abi/maps.h"

namespace wirespan {

// Classes of channels and where their descriptor is: the JDK's, and Netty's own over epoll, which name another object
// that has it.
inline constexpr const char* kJavaChannel = "sun/nio/ch/SocketChannelImpl";
inline constexpr const char* kJavaDescriptor = "fdVal";
inline constexpr const char* kNettyChannel = "io/netty/channel/epoll/EpollSocketChannel";
inline constexpr const char* kNettySocket = "socket";
inline constexpr const char* kNettyDescriptor = "fd";

// A sort of channel: the JDK's, or Netty's own.
struct JavaChannel {
  std::uint64_t named = 0;       // its class, once it is loaded
  std::uint16_t socket = 0;      // in it: what has the descriptor; 0: it does itself
  std::uint16_t descriptor = 0;  // 32 bits

  bool operator==(const JavaChannel&) const = default;
};

// Where ways begin and end.
struct JavaEnds {
  std::array<JavaChannel, WS_JAVA_CLASSES> channels;  // those known come first
  [[nodiscard]] bool begin() const { return channels.front().named != 0; }
  [[nodiscard]] const JavaChannel* channel(std::uint64_t named) const;  // null: objects of the class are none
  // False: there is no room.
  bool add(const JavaChannel& channel);
  // Classes of what names a thread that waits, and the field that does. Of the JDK's: they are never unloaded.
  std::map<std::uint32_t, std::uint16_t> waiters;
  // The same of those that count only for who began at a task.
  std::map<std::uint32_t, std::uint16_t> of_tasks;
  std::uint16_t handle = 0;  // in java.lang.Thread: its JavaThread
  std::uint16_t number = 0;  // in it: its number

  bool operator==(const JavaEnds&) const = default;
};
// Lambdas and local classes of a program, by the names of their classes.
[[nodiscard]] bool is_java_function(std::string_view name);
// The field of that wait node which names the thread; null: it is none.
[[nodiscard]] const char* java_waiter_field(const std::string& name);
// Of java.lang.Thread.
[[nodiscard]] bool find_java_thread_fields(const JavaObjects& objects, std::uint64_t named, JavaEnds& ends);

// Of one process. One thread.
class JavaKnownWays {
 public:
  // Looks at the classes that were loaded since it was asked last, some 10 ms the first time. Whether there are more
  // ways than before.
  bool look(std::uint32_t pid, const JavaProcess& process);
  [[nodiscard]] const JavaWays::Ways& ways() const { return ways_; }
  // References of functions: what was at hand where they were written.
  [[nodiscard]] const JavaWays::Ways& captured() const { return captured_; }
  [[nodiscard]] const JavaEnds& ends() const { return ends_; }

 private:
  bool add(const JavaObjects& objects, JavaReferences& references, std::uint32_t named, const std::string& name);
  bool add_captured(const JavaObjects& objects, JavaReferences& references, std::uint32_t named, std::string_view name);

  JavaWays::Ways ways_;
  JavaWays::Ways captured_;
  std::size_t most_captured_ = 0;
  JavaEnds ends_;
  JavaChannel netty_;  // without its descriptor
  std::uint16_t netty_descriptor_ = 0;
  std::map<std::uint64_t, std::uint64_t> newest_;  // class of each loader's
};

}  // namespace wirespan
