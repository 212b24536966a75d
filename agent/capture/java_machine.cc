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

#include "agent/capture/elf_file.h"
#include "agent/capture/proc_maps.h"
#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostEntries = 8192;
constexpr std::uint64_t kMostStride = 256;
constexpr std::size_t kMostName = 96;
constexpr std::uint64_t kMostOffset = 16'384;  // of a field: it must fit into 16 bits with room to spare
constexpr std::uint32_t kMostThreads = 64;     // looked at
constexpr std::uint32_t kFewestThreads = 3;    // that must agree
// struct pthread: 2304 bytes in glibc 2.36.
constexpr std::size_t kPthreadWords = 256;
// java.lang.Thread: HotSpot puts 8-byte fields first, behind a header of 12 or 16 bytes.
constexpr std::size_t kHeaderWords = 2;
constexpr std::size_t kLongs = 4;
constexpr std::uint64_t kMostNumber = std::uint64_t{1} << 32U;

using Words = std::vector<std::uint64_t>;

struct Field {
  std::uint64_t offset = 0;
  std::uint64_t address = 0;  // of a static one
};

// The table, as far as we ask: "JavaThread::_vthread".
class Fields {
 public:
  static Result<Fields> read(const ProcessMemory& memory, std::uint64_t bias, const JavaSymbols& symbols) {
    std::array<std::uint64_t, 7> how{};
    const std::array<std::uint64_t, 7> at{symbols.table,     symbols.stride, symbols.type_name, symbols.field_name,
                                          symbols.is_static, symbols.offset, symbols.address};
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (!memory.read(at[i] + bias, &how[i], sizeof(how[i])))
        return Error{"its memory cannot be read", errno == 0 ? EIO : errno, {}};
    }
    const auto [table, stride, type_name, field_name, is_static, offset, address] = how;
    if (table == 0) return Error{"it is still starting", EAGAIN, {}};
    if (stride == 0 || stride > kMostStride || std::max({type_name, field_name, offset, address}) + 8 > stride ||
        is_static + 4 > stride) {
      return Error{"its table of fields is not understood", ENOTSUP, {}};
    }
    Fields out;
    std::vector<std::uint8_t> entry(stride);
    for (std::size_t i = 0; i < kMostEntries; ++i) {
      if (!memory.read(table + i * stride, entry.data(), entry.size())) break;
      const auto word = [&entry](std::uint64_t from) {
        std::uint64_t value = 0;
        std::memcpy(&value, &entry[from], sizeof(value));
        return value;
      };
      const auto type = memory.text(word(type_name), kMostName);
      if (!type) break;  // the table ends with an empty entry
      if (!wanted(*type)) continue;
      const auto field = memory.text(word(field_name), kMostName);
      if (!field) continue;
      std::int32_t fixed = 0;
      std::memcpy(&fixed, &entry[is_static], sizeof(fixed));
      out.fields_[*type + "::" + *field] = {word(offset), fixed != 0 ? word(address) : 0};
    }
    return out;
  }

  // Offset of a field; 0: there is none such, or none that may be believed. (None that we ask for comes first.)
  [[nodiscard]] std::uint16_t offset(const char* name) const {
    const auto it = fields_.find(name);
    return it == fields_.end() || it->second.offset > kMostOffset ? 0 : static_cast<std::uint16_t>(it->second.offset);
  }
  [[nodiscard]] std::uint64_t address(const char* name) const {
    const auto it = fields_.find(name);
    return it == fields_.end() ? 0 : it->second.address;
  }

 private:
  static bool wanted(std::string_view type) {
    return type == "Thread" || type == "JavaThread" || type == "OSThread" || type == "ThreadsList" ||
           type == "ThreadsSMRSupport";
  }
  std::map<std::string, Field> fields_;
};

struct Thread {
  std::uint64_t self = 0;  // its JavaThread
  std::uint64_t pthread = 0;
};

// Threads of HotSpot's own list, which may change meanwhile: some may be none.
std::vector<Thread> threads_of(const ProcessMemory& memory, const Fields& fields, const ws_java_process& at) {
  const std::uint16_t length_at = fields.offset("ThreadsList::_length");
  const std::uint16_t threads_at = fields.offset("ThreadsList::_threads");
  std::uint64_t list = 0;
  std::uint32_t length = 0;
  std::uint64_t array = 0;
  if (length_at == 0 || threads_at == 0 ||
      !memory.read(fields.address("ThreadsSMRSupport::_java_thread_list"), &list, sizeof(list)) ||
      !memory.read(list + length_at, &length, sizeof(length)) ||
      !memory.read(list + threads_at, &array, sizeof(array))) {
    return {};
  }
  Words selves(std::min(length, kMostThreads));
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

Result<JavaSymbols> read_java_symbols(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  if ((*file)->arm64()) return Error{"Java's threads are only found on amd64", ENOTSUP, {}};
  JavaSymbols out;
  out.base = (*file)->base();
  const std::array<std::pair<const char*, std::uint64_t*>, 7> wanted{
      {{"gHotSpotVMStructs", &out.table},
       {"gHotSpotVMStructEntryArrayStride", &out.stride},
       {"gHotSpotVMStructEntryTypeNameOffset", &out.type_name},
       {"gHotSpotVMStructEntryFieldNameOffset", &out.field_name},
       {"gHotSpotVMStructEntryIsStaticOffset", &out.is_static},
       {"gHotSpotVMStructEntryOffsetOffset", &out.offset},
       {"gHotSpotVMStructEntryAddressOffset", &out.address}}};
  (*file)->visit_dynamic_symbols([&](const char* name, const GElf_Sym& symbol) {
    if (std::strncmp(name, "gHotSpot", 8) != 0) return;
    for (const auto& [of, to] : wanted) {
      if (std::strcmp(name, of) == 0) *to = symbol.st_value;
    }
  });
  if (std::ranges::any_of(wanted, [](const auto& one) { return *one.second == 0; }))
    return Error{"its libjvm is none of HotSpot's", ENOENT, {}};
  return out;
}

Result<ws_java_process> read_java_process(std::uint32_t pid, const MappedFile& mapping, const JavaSymbols& symbols) {
  const ProcessMemory memory(pid);
  const auto fields = Fields::read(memory, mapping.start - symbols.base, symbols);
  if (!fields) return fields.error();
  ws_java_process out{};
  out.os_thread = std::max((*fields).offset("Thread::_osthread"), (*fields).offset("JavaThread::_osthread"));
  out.pthread_id = (*fields).offset("OSThread::_pthread_id");
  out.owner = (*fields).offset("JavaThread::_monitor_owner_id");
  out.continuation = (*fields).offset("JavaThread::_cont_entry");
  out.virtual_thread = (*fields).offset("JavaThread::_vthread");
  if (out.os_thread == 0 || out.pthread_id == 0) return Error{"its table of fields is not understood", ENOTSUP, {}};
  if (out.virtual_thread == 0) return Error{"its release has no virtual threads", ENOTSUP, {}};
  const std::vector<Thread> threads = threads_of(memory, *fields, out);
  if (threads.size() < kFewestThreads) return Error{"it is still starting", EAGAIN, {}};
  out.self = find_self(memory, threads);
  if (out.self == 0) return Error{"where its threads are named is not understood", EAGAIN, {}};
  if (out.owner != 0 && out.continuation != 0) return out;
  out.owner = out.continuation = 0;
  if (!find_number(memory, threads, (*fields).offset("JavaThread::_threadObj"), out))
    return Error{"how its threads are numbered is not understood", EAGAIN, {}};
  return out;
}

}  // namespace wirespan
