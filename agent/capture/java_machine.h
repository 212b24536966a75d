// Where the HotSpot JVM of a living process keeps what tells its virtual threads apart, and the contexts that event
// loops of Vert.x work in. HotSpot says so itself (java_table.h); how the C library and java.lang.Thread lie is found
// by trying, on threads of the process that are known from HotSpot's own list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/capture/java_objects.h"
#include "agent/capture/java_table.h"
#include "agent/capture/mapped_file.h"
#include "base/result.h"
#include "bpf/abi/maps.h"

namespace wirespan {

// Where libjvm lies in a process. From /proc/PID/maps, whose text is `maps`.
[[nodiscard]] MappedFile java_mapping(std::uint32_t pid, const std::string& maps);

struct JavaProcess {
  ws_java_process where{};
  std::string no_virtual_threads;  // why they cannot be seen, for people
  JavaTable table;
  JavaHeap heap;
  std::string no_contexts;  // why they cannot, should there be any
  JavaClasses classes;      // for find_java_channels()
};
// EAGAIN: not yet, it is still starting. Else Error.what says why not, for people.
[[nodiscard]] Result<JavaProcess> read_java_process(std::uint32_t pid, const MappedFile& mapping,
                                                    const JavaSymbols& symbols);

// Tells the kernel side how objects are read.
void set_java_heap(const JavaHeap& heap, ws_java_process& at);

// The java.lang.Thread of each of its threads, until the next collection of garbage.
[[nodiscard]] std::vector<std::uint64_t> java_thread_objects(const ProcessMemory& memory, const JavaProcess& process);

// Where event loops of Vert.x name the context they work in. False: it has no thread of Vert.x's, yet.
[[nodiscard]] Result<bool> find_java_contexts(std::uint32_t pid, JavaProcess& process);

// The way from a channel of Netty's to the context its connection works for. False: not all of its classes are loaded,
// yet. ENOTSUP: they are not what we know.
[[nodiscard]] Result<bool> find_java_channels(std::uint32_t pid, JavaProcess& process);

}  // namespace wirespan
