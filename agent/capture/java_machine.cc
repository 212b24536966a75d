#include "agent/capture/java_machine.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "agent/capture/java_objects.h"
#include "agent/capture/proc_maps.h"
#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

constexpr std::uint32_t kMostThreads = 4096;  // looked at
constexpr std::uint32_t kMostOfSome = 64;     // where some are enough
constexpr std::uint32_t kFewestThreads = 3;   // that must agree
constexpr std::size_t kMostAbove = 8;         // classes above a thread's
const std::string kInContexts = "io/vertx/core/impl/VertxThread";
const std::string kContextField = "context";
// struct pthread: 2304 bytes in glibc 2.36.
constexpr std::size_t kPthreadWords = 256;
// java.lang.Thread: HotSpot puts 8-byte fields first, behind a header of 12 or 16 bytes.
constexpr std::size_t kHeaderWords = 2;
constexpr std::size_t kLongs = 4;
constexpr std::uint64_t kMostNumber = std::uint64_t{1} << 32U;

using Words = std::vector<std::uint64_t>;

struct Thread {
  std::uint64_t self = 0;  // its JavaThread
  std::uint64_t pthread = 0;
};

// Threads of HotSpot's own list, which may change meanwhile: some may be none.
std::vector<Thread> threads_of(const ProcessMemory& memory, const JavaTable& table, const ws_java_process& at,
                               std::uint32_t most) {
  const std::uint16_t length_at = table.offset("ThreadsList::_length");
  const std::uint16_t threads_at = table.offset("ThreadsList::_threads");
  std::uint64_t list = 0;
  std::uint32_t length = 0;
  std::uint64_t array = 0;
  if (length_at == 0 || threads_at == 0 ||
      !memory.read(table.address("ThreadsSMRSupport::_java_thread_list"), &list, sizeof(list)) ||
      !memory.read(list + length_at, &length, sizeof(length)) ||
      !memory.read(list + threads_at, &array, sizeof(array))) {
    return {};
  }
  Words selves(std::min(length, most));
  if (selves.empty() || !memory.read(array, selves.data(), selves.size() * sizeof(selves[0]))) return {};
  std::vector<Thread> out;
  for (const std::uint64_t self : selves) {
    Thread thread{self, 0};
    std::uint64_t os_thread = 0;
    if (memory.read(self + at.os_thread, &os_thread, sizeof(os_thread)) &&
        memory.read(os_thread + at.pthread_id, &thread.pthread, sizeof(thread.pthread))) {
      out.push_back(thread);
    }
  }
  return out;
}

// Where struct pthread names the thread's JavaThread: HotSpot keeps it as a thread-specific value, and most threads
// were begun with it as their argument. 0: nowhere. The kernel side proves it of each thread for itself.
std::uint16_t find_self(const ProcessMemory& memory, const std::vector<Thread>& threads) {
  std::array<std::uint32_t, kPthreadWords> found{};
  Words words(kPthreadWords);
  for (const Thread& thread : threads) {
    if (!memory.read(thread.pthread, words.data(), words.size() * sizeof(words[0]))) continue;
    // What names itself is a thread's descriptor.
    if (words[0] != thread.pthread) continue;
    for (std::size_t i = 0; i < words.size(); ++i) found[i] += words[i] == thread.self ? 1U : 0U;
  }
  const auto most = std::ranges::max_element(found);
  if (*most < kFewestThreads) return 0;
  return static_cast<std::uint16_t>((most - found.begin()) * 8);
}

// Where java.lang.Thread has its number (tid) and its JavaThread (eetop). False: not certain, as where references carry
// colours (ZGC).
bool find_number(const ProcessMemory& memory, const std::vector<Thread>& threads, std::uint16_t handle,
                 ws_java_process& at) {
  std::vector<std::pair<std::uint64_t, Words>> objects;
  for (const Thread& thread : threads) {
    std::uint64_t reference = 0;
    std::uint64_t object = 0;
    Words words(kHeaderWords + kLongs);
    if (memory.read(thread.self + handle, &reference, sizeof(reference)) && reference != 0 &&
        memory.read(reference, &object, sizeof(object)) && object != 0 &&
        memory.read(object, words.data(), words.size() * sizeof(words[0]))) {
      objects.emplace_back(thread.self, std::move(words));
    }
  }
  if (objects.size() < kFewestThreads) return false;
  at.eetop = at.number = 0;
  for (std::size_t i = kHeaderWords; i < kHeaderWords + kLongs; ++i) {
    const auto here = static_cast<std::uint16_t>(i * 8);
    Words values;
    bool own = true;
    for (const auto& [self, words] : objects) {
      own = own && words[i] == self;
      values.push_back(words[i]);
    }
    std::ranges::sort(values);
    const bool numbers =
        values.front() != 0 && values.back() < kMostNumber && std::ranges::adjacent_find(values) == values.end();
    if ((own && at.eetop != 0) || (numbers && at.number != 0)) return false;  // two: neither is certain
    if (own) at.eetop = here;
    if (numbers) at.number = here;
  }
  return at.eetop != 0 && at.number != 0;
}

// What tells the virtual thread that runs on a thread. EAGAIN: not understood (yet).
Status find_virtual_threads(const ProcessMemory& memory, const JavaTable& table, const std::vector<Thread>& threads,
                            ws_java_process& at) {
  at.virtual_thread = table.offset("JavaThread::_vthread");
  if (at.virtual_thread == 0) return Error{"its release has no virtual threads", ENOTSUP, {}};
  at.owner = table.offset("JavaThread::_monitor_owner_id");
  at.continuation = table.offset("JavaThread::_cont_entry");
  if (at.owner != 0 && at.continuation != 0) return {};
  at.owner = at.continuation = 0;
  if (find_number(memory, threads, at.thread_object, at)) return {};
  at.virtual_thread = at.eetop = at.number = 0;
  return Error{"how its threads are numbered is not understood", EAGAIN, {}};
}

// The class of a thread's object, or the one above it, that names the context. nullopt: none does.
std::optional<std::uint64_t> class_in_contexts(const JavaObjects& objects, std::uint64_t named) {
  for (std::size_t i = 0; named != 0 && i < kMostAbove; ++i) {
    const auto name = objects.name(named);
    if (!name) return std::nullopt;
    if (*name == kInContexts) return named;
    named = objects.above(named);
  }
  return std::nullopt;
}

}  // namespace

MappedFile java_mapping(std::uint32_t pid, const std::string& maps) {
  std::istringstream in(maps);
  for (std::string text; std::getline(in, text);) {
    if (text.find("/libjvm.so") == std::string::npos) continue;
    const auto line = parse_map_line(text);
    if (!line || line->offset != 0) continue;
    return {"/proc/" + std::to_string(pid) + "/root" + line->path, line->start, line->device, line->inode};
  }
  return {};
}

Result<JavaProcess> read_java_process(std::uint32_t pid, const MappedFile& mapping, const JavaSymbols& symbols) {
  const ProcessMemory memory(pid);
  auto read = JavaTable::read(memory, mapping.start - symbols.base, symbols);
  if (!read) return read.error();
  JavaProcess out;
  out.table = *std::move(read);
  const JavaTable* const table = &out.table;
  ws_java_process& at = out.where;
  at.os_thread = std::max(table->offset("Thread::_osthread"), table->offset("JavaThread::_osthread"));
  at.pthread_id = table->offset("OSThread::_pthread_id");
  at.thread_object = table->offset("JavaThread::_threadObj");
  at.thread_id = table->offset("OSThread::_thread_id");
  if (at.os_thread == 0 || at.pthread_id == 0 || at.thread_object == 0)
    return Error{"its table of fields is not understood", ENOTSUP, {}};
  const std::vector<Thread> threads = threads_of(memory, *table, at, kMostOfSome);
  if (threads.size() < kFewestThreads) return Error{"it is still starting", EAGAIN, {}};
  at.self = find_self(memory, threads);
  if (at.self == 0) return Error{"where its threads are named is not understood", EAGAIN, {}};
  if (const Status found = find_virtual_threads(memory, *table, threads, at); !found) {
    if (found.error().code == EAGAIN) return found.error();
    out.no_virtual_threads = found.error().what;
  }
  const auto heap = read_java_heap(memory, *table);
  if (!heap && heap.error().code == EAGAIN) return heap.error();
  if (heap) {
    out.heap = *heap;
  } else {
    out.no_contexts = heap.error().what;
  }
  return out;
}

void set_java_heap(const JavaHeap& heap, ws_java_process& at) {
  at.class_at = heap.class_at;
  at.class_shift = heap.class_shift;
  at.class_mask = heap.class_mask;
  at.reference_size = heap.reference_size;
  at.reference_shift = heap.reference_shift;
  at.reference_base = heap.reference_base;
  at.collecting = heap.collecting;
  at.collections = heap.collections;
  at.heap = heap.begin;
  at.heap_end = heap.end;
  at.array = heap.array;
}

std::vector<std::uint64_t> java_thread_objects(const ProcessMemory& memory, const JavaProcess& process) {
  std::vector<std::uint64_t> out;
  for (const Thread& thread : threads_of(memory, process.table, process.where, kMostThreads)) {
    std::uint64_t handle = 0;
    std::uint64_t object = 0;
    if (memory.read(thread.self + process.where.thread_object, &handle, sizeof(handle)) &&
        memory.read(handle, &object, sizeof(object)) && object != 0) {
      out.push_back(object);
    }
  }
  return out;
}

Result<bool> find_java_contexts(std::uint32_t pid, JavaProcess& process) {
  if (!process.no_contexts.empty()) return Error{process.no_contexts, ENOTSUP, {}};
  const ProcessMemory memory(pid);
  const JavaObjects objects(memory, process.table, process.heap);
  ws_java_process& at = process.where;
  std::map<std::uint64_t, std::optional<std::uint64_t>> classes;
  for (const std::uint64_t object : java_thread_objects(memory, process)) {
    const auto named = objects.class_of(object);
    if (named && !classes.contains(*named)) classes[*named] = class_in_contexts(objects, *named);
  }
  std::size_t count = 0;
  std::optional<std::uint16_t> context;
  for (const auto& [named, with] : classes) {
    if (!with) continue;
    const auto field = objects.field(*with, kContextField);
    if (!field || (context && *context != *field))
      return Error{"where its threads name their context is not understood", ENOTSUP, {}};
    context = field;
    if (count < WS_JAVA_CLASSES) at.classes[count++] = named;
  }
  if (!context) return false;
  at.context = *context;
  set_java_heap(process.heap, at);
  return true;
}

}  // namespace wirespan
