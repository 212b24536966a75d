#include "agent/capture/tokio_executable.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "agent/capture/elf_file.h"
#include "agent/capture/probe_site.h"
#include "agent/capture/proc_maps.h"
#include "agent/capture/tokio_code.h"

namespace wirespan {
namespace {

// Both manglings of Rust write a path as lengths and names, so these are in a symbol's name whichever was used. But for
// a type's own functions the newer one has something between its module and the type.
constexpr std::string_view kContext = "5tokio7runtime7context7CONTEXT";
constexpr std::string_view kWakeByVal = "5tokio7runtime4task5waker11wake_by_val";
constexpr std::string_view kWakeByRef = "5tokio7runtime4task5waker11wake_by_ref";
constexpr std::string_view kSchedule = "5tokio7runtime4task3raw8schedule";
constexpr std::string_view kCore = "5tokio7runtime4task4core";
constexpr std::string_view kEnter = "11TaskIdGuard5enter";
constexpr std::string_view kSetCurrent = "5tokio7runtime7context19set_current_task_id";  // it calls; 1.54: it is that
constexpr std::string_view kList = "5tokio7runtime4task4list";
constexpr std::string_view kBind = "10bind_inner";
// Not of a generic type, and in a crate of its own: there whatever a program's closures are.
constexpr std::string_view kPool = "5tokio7runtime8blocking4pool";
constexpr std::string_view kSpawnTask = "7Spawner10spawn_task";
constexpr std::string_view kOneshot = "5tokio4sync7oneshot";
constexpr std::string_view kComplete = "5State12set_complete";
constexpr std::string_view kLoad = "5State4load";
constexpr std::string_view kSemaphore = "5tokio4sync15batch_semaphore";
// All that is let go of comes to it; Semaphore::release may be part of its callers.
constexpr std::string_view kAddPermits = "9Semaphore18add_permits_locked";
// Those that poll a task: `enter` is part of them where the program was optimized as a whole.
constexpr std::string_view kPoll = "5tokio7runtime4task3raw4poll";
constexpr std::string_view kSources = "/tokio-1.";

constexpr std::size_t kMostFunctions = 64;
constexpr std::uint64_t kMostCode = 4096;
constexpr std::uint64_t kMostPoll = 32'768;
constexpr std::size_t kMostPolls = 8;       // a millisecond each
constexpr std::size_t kNearlyAllPolls = 8;  // all but one in so many
constexpr std::size_t kFewestPolls = 2;
constexpr std::uint64_t kMostText = 64U << 20U;  // of constants, looked through for the version
constexpr std::uint64_t kMostTables = 16U << 20U;
constexpr std::uint64_t kMostThreadLocal = 1U << 30U;
constexpr std::uint64_t kFarthest = 65'536;  // bpf/core/tokio.h
// struct Header { state, queue_next, vtable, ... }, laid out as in C.
constexpr std::uint16_t kVtable = 16;
// struct Vtable { poll, schedule, ... }: pointers to functions come first, then three offsets.
constexpr std::size_t kScheduleWord = 1;
constexpr std::size_t kTableWords = 12;  // looked at from `schedule` on

constexpr std::uint32_t kFewestChanges = 16;
constexpr std::uint32_t kClear = 8;       // times as many as the next best
constexpr std::uint64_t kNearlyAll = 64;  // all but one in so many: two CPUs count at once

struct ThreadLocals {
  std::uint64_t size = 0;  // as the thread pointer lies behind them
};

ThreadLocals thread_locals(const ElfFile& file) {
  std::size_t count = 0;
  if (elf_getphdrnum(file.elf(), &count) != 0) return {};
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(file.elf(), static_cast<int>(i), &header) == nullptr || header.p_type != PT_TLS) continue;
    const std::uint64_t align = std::max<std::uint64_t>(header.p_align, 1);
    if (header.p_memsz > kMostThreadLocal || align > kMostThreadLocal) return {};
    return {(header.p_memsz + align - 1) / align * align};
  }
  return {};
}

// "1.45.0" of ".../tokio-1.45.0/src/runtime/...", which messages of panics carry.
std::string version_in(const ElfFile& file) {
  const GElf_Shdr section = file.section(".rodata");
  const auto bytes = file.read_at(section.sh_offset, std::min(section.sh_size, kMostText));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // NOLINT(*-reinterpret-cast)
  for (auto at = text.find(kSources); at != std::string_view::npos; at = text.find(kSources, at + 1)) {
    const std::string_view from = text.substr(at + kSources.size() - 2, 16);
    const auto end = from.find_first_not_of("0123456789.");
    if (end != std::string_view::npos && from[end] == '/') return std::string(from.substr(0, end));
  }
  return {};
}

void add_range(const ElfFile& file, const char* name, std::vector<TokioExecutable::Range>& to) {
  const GElf_Shdr section = file.section(name);
  if (section.sh_addr != 0 && section.sh_size != 0)
    to.push_back({section.sh_addr, std::min(section.sh_size, kMostTables)});
}

// What nearly all functions that poll tasks exchange, by the smallest of them; the tasks' own code is part of them and
// may exchange other words.
template <typename Exchanged>
std::optional<ExchangedWord> polled_word(std::vector<GElf_Sym> polls, const Exchanged& exchanged) {
  std::ranges::sort(polls, {}, &GElf_Sym::st_size);
  if (polls.size() > kMostPolls) polls.resize(kMostPolls);
  std::map<std::pair<std::int32_t, bool>, std::size_t> votes;
  std::size_t told = 0;
  for (const GElf_Sym& poll : polls) {
    const auto word = exchanged(poll, kMostPoll);
    if (!word) continue;
    ++votes[{word->at, word->tagged}];
    ++told;
  }
  for (const auto& [word, count] : votes) {
    if (count * kNearlyAllPolls >= told * (kNearlyAllPolls - 1) && count >= kFewestPolls)
      return ExchangedWord{word.first, word.second};
  }
  return std::nullopt;
}

}  // namespace

MappedFile executable_mapping(std::uint32_t pid, const std::string& maps) {
  const std::string link = "/proc/" + std::to_string(pid) + "/exe";
  std::array<char, 4096> exe{};
  const ssize_t size = readlink(link.c_str(), exe.data(), exe.size());
  if (size <= 0) return {};
  const std::string_view path(exe.data(), static_cast<std::size_t>(size));
  std::istringstream in(maps);
  for (std::string text; std::getline(in, text);) {
    if (!text.ends_with(path)) continue;
    const auto line = parse_map_line(text);
    if (line && line->offset == 0 && line->path == path) return {link, line->start, line->device, line->inode};
  }
  return {};
}

Result<TokioExecutable> read_tokio_executable(const std::string& path) {
  const Error none{"there is no tokio in it", ENOENT, {}};
  auto opened = ElfFile::open(path);
  if (!opened) return none;
  const ElfFile& file = **opened;
  const ThreadLocals locals = thread_locals(file);
  // Go has none of the kind where it is linked statically, and much else to read.
  if (locals.size == 0 || file.section(".go.buildinfo").sh_size != 0) return none;

  TokioExecutable out;
  out.base = file.base();
  out.relocated = file.relocated();
  std::vector<GElf_Sym> contexts;
  GElf_Sym enter{};
  GElf_Sym set_current{};
  std::vector<GElf_Sym> polls;
  const auto note = [&file](std::vector<std::uint64_t>& to, const GElf_Sym& function, std::size_t arguments) {
    std::uint64_t offset = file.offset_of(function.st_value);
    if (offset == 0 || to.size() >= kMostFunctions) return;
    const std::uint64_t size = std::min<std::uint64_t>(function.st_size, kProbeSiteCode);
    offset += probe_site(file.read_at(offset, size), arguments);
    if (std::ranges::find(to, offset) == to.end()) to.push_back(offset);
  };
  const bool symbols = file.visit_all_symbols([&](const char* text, const GElf_Sym& symbol) {
    const std::string_view name(text);
    if (name.find("5tokio") == std::string_view::npos) return;
    const auto has = [name](std::string_view part) { return name.find(part) != std::string_view::npos; };
    if (GELF_ST_TYPE(symbol.st_info) == STT_TLS) {
      if (has(kContext)) contexts.push_back(symbol);
    } else if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) {
      return;
    } else if (has(kWakeByVal)) {
      note(out.wakes_by_value, symbol, 1);
    } else if (has(kWakeByRef)) {
      note(out.wakes_by_reference, symbol, 1);
    } else if (has(kCore) && has(kEnter)) {
      enter = symbol;
    } else if (has(kSetCurrent)) {
      set_current = symbol;
    } else if (has(kSchedule)) {
      if (out.schedules.size() < kMostFunctions) out.schedules.push_back(symbol.st_value);
    } else if (has(kList) && has(kBind)) {
      note(out.spawns, symbol, 2);
    } else if (has(kPool) && has(kSpawnTask)) {
      note(out.spawns_blocking, symbol, 2);
    } else if (has(kPoll)) {
      if (polls.size() < kMostFunctions) polls.push_back(symbol);
    } else if (has(kOneshot) && has(kComplete)) {
      note(out.replies, symbol, 1);
    } else if (has(kOneshot) && has(kLoad)) {
      note(out.gets, symbol, 1);
    } else if (has(kSemaphore) && has(kAddPermits)) {
      note(out.lets_go, symbol, 2);
    }
  });
  if (!symbols) {
    // Only Rust's compiler writes that; what was built before 2023 is then not known for tokio.
    out.version = version_in(file);
    return out.version.empty()
               ? none
               : Error{"tokio " + out.version + ": the executable was stripped of its symbols", ENOTSUP, {}};
  }
  if (contexts.empty() && out.wakes_by_value.empty() && out.wakes_by_reference.empty()) return none;
  out.version = version_in(file);
  const std::string which = out.version.empty() ? "tokio" : "tokio " + out.version;
  if (file.arm64()) return Error{which + ": its tasks are only found on amd64", ENOTSUP, {}};
  if (contexts.size() > 1 || out.wakes_by_value.size() > 1 || out.wakes_by_reference.size() > 1)
    return Error{"there are several tokios in it", ENOTSUP, {}};
  if (contexts.empty() || out.wakes_by_value.empty() || out.wakes_by_reference.empty() || out.schedules.empty())
    return Error{which + ": how it names its tasks is not understood", ENOTSUP, {}};
  const GElf_Sym& context = contexts.front();
  if (context.st_value >= locals.size) return Error{which + ": its thread-locals are not understood", ENOTSUP, {}};
  out.context =
      static_cast<std::int32_t>(static_cast<std::int64_t>(context.st_value) - static_cast<std::int64_t>(locals.size));
  out.words = static_cast<std::uint16_t>(std::min<std::uint64_t>(context.st_size / 8, WS_TOKIO_WORDS));
  const auto exchanged = [&](const GElf_Sym& function, std::uint64_t most) {
    if (function.st_size == 0 || function.st_size > most) return std::optional<ExchangedWord>();
    return exchanged_word(file.read_at(file.offset_of(function.st_value), function.st_size), out.context,
                          out.context + out.words * 8);
  };
  auto word = exchanged(enter, kMostCode);
  if (!word) word = exchanged(set_current, kMostCode);
  if (!word) word = polled_word(polls, exchanged);
  if (word) {
    out.current = word->at;
    out.tagged = word->tagged;
  }
  add_range(file, ".data.rel.ro", out.tables);
  add_range(file, ".rodata", out.tables);
  return out;
}

std::uint16_t id_offset_in_table(const std::vector<std::uint64_t>& words) {
  // In some order: of the trailer, which lies last, of the scheduler, and behind that of the Id.
  constexpr std::size_t kOffsets = 3;
  for (std::size_t i = 1; i + kOffsets <= words.size(); ++i) {
    std::array<std::uint64_t, kOffsets> offsets{words[i], words[i + 1], words[i + 2]};
    if (std::ranges::any_of(offsets,
                            [](std::uint64_t word) { return word == 0 || word >= kFarthest || word % 8 != 0; }))
      continue;
    std::ranges::sort(offsets);
    for (std::size_t k = 0; k < kOffsets; ++k) {
      if (words[i + k] == offsets[1]) return static_cast<std::uint16_t>((kScheduleWord + i + k) * 8);
    }
  }
  return 0;
}

Result<ws_tokio_process> read_tokio_process(const ProcessMemory& memory, std::uint64_t start,
                                            const TokioExecutable& executable) {
  const std::uint64_t bias = executable.relocated ? start - executable.base : 0;
  std::map<std::uint16_t, std::uint32_t> votes;
  for (const auto& range : executable.tables) {
    std::vector<std::uint64_t> words(range.size / 8);
    if (words.empty() || !memory.read(range.address + bias, words.data(), words.size() * 8)) continue;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (std::ranges::find(executable.schedules, words[i] - bias) == executable.schedules.end()) continue;
      const std::size_t end = std::min(i + kTableWords, words.size());
      const auto first = words.begin() + static_cast<std::ptrdiff_t>(i);
      const auto last = words.begin() + static_cast<std::ptrdiff_t>(end);
      if (const std::uint16_t at = id_offset_in_table({first, last}); at != 0) ++votes[at];
    }
    if (!votes.empty()) break;
  }
  const auto most = std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  if (most == votes.end()) return Error{"where its tasks have their numbers is not understood", EAGAIN, {}};
  ws_tokio_process out{};
  out.context = executable.context;
  out.current = executable.current;
  out.tagged = executable.tagged ? 1 : 0;
  out.words = executable.words;
  out.vtable = kVtable;
  out.id_offset = most->first;
  return out;
}

bool learn_current(const ws_tokio_guess& guess, ws_tokio_process& process) {
  std::size_t best = 0;
  std::uint32_t most = 0;
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(process.words, WS_TOKIO_WORDS); ++i) {
    const std::uint32_t changes = guess.word[i].changes;
    next = std::max(next, std::min(changes, most));
    if (changes <= most) continue;
    most = changes;
    best = i;
  }
  if (most < kFewestChanges || next * kClear > most) return false;
  process.current = process.context + static_cast<std::int32_t>(best) * 8;
  // An Option of a number that may be zero says so in a word before it, which is then nothing else but 0 or 1. (A word
  // of another meaning that never was anything else but 1 does no harm.)
  const auto& before = guess.word[best == 0 ? 0 : best - 1];
  process.tagged =
      best != 0 && before.ones != 0 && (before.ones + before.zeros) * kNearlyAll >= guess.samples * (kNearlyAll - 1);
  return true;
}

}  // namespace wirespan
