#include "agent/capture/go_executable.h"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/capture/elf_file.h"
#include "agent/capture/go_calls.h"
#include "agent/capture/go_pclntab.h"

namespace wirespan {
namespace {

constexpr std::uint64_t kMostTable = 256U << 20U;
constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kMostSegments = 8;
constexpr std::size_t kSampled = 512;                // functions looked at to find where the text begins
constexpr std::size_t kMostBeforeText = 64U << 10U;  // C start-up code in front of Go's

std::optional<GElf_Shdr> section_named(Elf* elf, std::initializer_list<std::string_view> wanted) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return std::nullopt;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr; section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* const name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && std::find(wanted.begin(), wanted.end(), name) != wanted.end()) return header;
  }
  return std::nullopt;
}

std::optional<GElf_Phdr> segment_of_type(Elf* elf, std::uint32_t type) {
  std::size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == type) return header;
  }
  return std::nullopt;
}

void read_segments(Elf* elf, GoExecutable& out) {
  std::size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return;
  for (std::size_t i = 0; i < count && out.data.size() < kMostSegments; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
    if (header.p_offset == 0) out.base = header.p_vaddr;
    if ((header.p_flags & PF_W) != 0) out.data.push_back({header.p_vaddr, header.p_memsz});
  }
}

struct Symbols {
  std::optional<std::uint64_t> allp;
  std::optional<std::uint64_t> tlsg;
};

Symbols read_symbols(Elf* elf) {
  Symbols out;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr; section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB || header.sh_entsize == 0) continue;
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const std::uint64_t count = data->d_size / header.sh_entsize;
    for (std::uint64_t i = 0; i < count && !(out.allp && out.tlsg); ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      const char* const name = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (name == nullptr || std::strncmp(name, "runtime.", 8) != 0) continue;
      if (std::strcmp(name, "runtime.allp") == 0) out.allp = symbol.st_value;
      if (std::strcmp(name, "runtime.tlsg") == 0 && GELF_ST_TYPE(symbol.st_info) == STT_TLS) out.tlsg = symbol.st_value;
    }
  }
  return out;
}

// amd64 ELF TLS, variant II: the executable's block ends at the thread pointer. Go's own linker places g right below
// it; beside C code g is one thread-local variable among others, and only the symbol tells which.
std::optional<std::int32_t> g_from_thread_pointer(Elf* elf, const Symbols& symbols) {
  constexpr std::uint64_t kWord = 8;
  const auto tls = segment_of_type(elf, PT_TLS);
  if (!tls || tls->p_memsz == kWord) return -static_cast<std::int32_t>(kWord);
  if (!symbols.tlsg || tls->p_memsz > 1U << 20U || tls->p_align > 1U << 16U) return std::nullopt;
  const std::uint64_t align = std::max<std::uint64_t>(tls->p_align, 1);
  const std::uint64_t block = (tls->p_memsz + align - 1) / align * align;
  if (*symbols.tlsg + kWord > block) return std::nullopt;
  return static_cast<std::int32_t>(static_cast<std::int64_t>(*symbols.tlsg) - static_cast<std::int64_t>(block));
}

// How many of a sample of functions begin with a stack check if the text began there. Most of Go's do.
std::size_t entries_found(const GoPclntab& table, Bytes text, std::uint64_t begin, bool arm64, std::size_t& looked) {
  std::size_t found = 0;
  looked = 0;
  const std::size_t step = std::max<std::size_t>(table.size() / (4 * kSampled), 1);
  for (std::size_t i = 0; i < table.size() && looked < kSampled; i += step) {
    const auto function = table.at(i);
    if (!function || function->offset >= text.size() || text.size() - function->offset < begin + kEntryBytes) continue;
    ++looked;
    found += behind_stack_check(text.subspan(begin + function->offset, kEntryBytes), arm64) > 0 ? 1U : 0U;
  }
  return found;
}

// Newer releases do not write it down, and C start-up code may lie in front of Go's.
std::optional<std::uint64_t> find_text(const ElfFile& file, const GElf_Shdr& section, const GoPclntab& table,
                                       bool arm64) {
  constexpr std::size_t kMostText = 8U << 20U;
  constexpr std::size_t kEnough = 16;
  const auto text = file.read_at(section.sh_offset, std::min<std::uint64_t>(section.sh_size, kMostText));
  const auto plausible = [&](std::uint64_t begin) {
    std::size_t looked = 0;
    const std::size_t found = entries_found(table, text, begin, arm64, looked);
    return looked >= kEnough && found >= looked / 4;
  };
  if (table.text_start() >= section.sh_addr && plausible(table.text_start() - section.sh_addr)) {
    return table.text_start();
  }
  for (std::uint64_t begin = 0; begin <= kMostBeforeText; begin += 16) {
    if (plausible(begin)) return section.sh_addr + begin;
  }
  return std::nullopt;
}

constexpr std::string_view kNewproc = "runtime.newproc";  // begins a goroutine
constexpr std::size_t kMostLibraries = 8;                 // WS_GO_LIBRARIES
constexpr std::uint64_t kMostCode = 64U << 20U;           // bytes of a program in which calls are looked for

// Adds a function that begins at `address`; the one before it ends there.
class LibraryCode {
 public:
  void add(bool inside, std::uint64_t address) {
    if (inside_) pieces_.back().size = address - pieces_.back().address;
    if (inside && !inside_) pieces_.push_back({address, 0});
    inside_ = inside;
  }
  [[nodiscard]] std::vector<GoExecutable::Segment> largest() && {
    std::ranges::sort(pieces_, std::ranges::greater(), &GoExecutable::Segment::size);
    if (pieces_.size() > kMostLibraries) pieces_.resize(kMostLibraries);
    return std::move(pieces_);
  }

 private:
  std::vector<GoExecutable::Segment> pieces_;
  bool inside_ = false;
};

bool of_one(std::span<const std::string_view> packages, std::string_view function) {
  return std::ranges::any_of(packages, [&](std::string_view package) { return function.starts_with(package); });
}

bool operates_on_channel(std::size_t row) {
  return kGoFunctions[row].use == GoFunction::Use::kChannel && std::string_view(kGoFunctions[row].name) != kNewproc;
}

// The functions of an executable: those to be probed, and whose code calls which.
class Functions {
 public:
  Functions(const ElfFile& file, const GoPclntab& table, const GElf_Shdr& text, std::uint64_t begin)
      : file_(file), table_(table), end_(text.sh_addr + text.sh_size), begin_(begin) {}

  void read(GoExecutable& out) {
    LibraryCode libraries;
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const auto function = table_.at(i);
      if (!function) continue;
      libraries.add(of_one(kGoLibraries, function->name), address(*function));
      for (std::size_t row = 0; row < kGoFunctions.size(); ++row) {
        if (function->name == kGoFunctions[row].name) found(row, *function, out);
      }
    }
    out.libraries = std::move(libraries).largest();
    use_calls(out);
  }

 private:
  [[nodiscard]] std::uint64_t address(const GoPclntab::Function& function) const { return begin_ + function.offset; }

  void found(std::size_t row, const GoPclntab::Function& function, GoExecutable& out) {
    const std::uint64_t at = file_.offset_of(address(function));
    const int skip = at == 0 ? -1 : behind_stack_check(file_.read_at(at, kEntryBytes), file_.arm64());
    // A wrapper for assembly (ABI0) has the same name.
    if (skip < 0 || (entries_[row] != 0 && skip == 0)) return;
    out.probes[row] = {at + static_cast<std::uint64_t>(skip)};
    entries_[row] = address(function);
    if (!operates_on_channel(row)) return;
    GoExecutable::Segment& all = out.entries;
    const std::uint64_t last = std::max(all.address + all.size, entries_[row] + kEntryBytes);
    all.address = all.address == 0 ? entries_[row] : std::min(all.address, entries_[row]);
    all.size = last - all.address;
  }

  // Probes of channels move to where the program calls them, if that can be told.
  void use_calls(GoExecutable& out) const {
    if (end_ - begin_ > kMostCode) return;
    std::vector<std::uint64_t> targets(kGoFunctions.size());
    for (std::size_t row = 0; row < targets.size(); ++row) {
      if (operates_on_channel(row)) targets[row] = entries_[row];
    }
    GoCalls calls(std::move(targets), file_.arm64());
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const auto function = table_.at(i);
      if (!function || of_one(kGoLibraries, function->name) || of_one(kGoSmallLibraries, function->name)) continue;
      const auto next = table_.at(i + 1);
      const std::uint64_t end = next ? address(*next) : end_;
      const std::uint64_t from = file_.offset_of(address(*function));
      if (from == 0 || end <= address(*function) || end > end_) continue;
      calls.look_at(file_.read_at(from, end - address(*function)), address(*function));
    }
    const auto found = std::move(calls).take();
    if (!found) return;
    for (std::size_t row = 0; row < found->size(); ++row) {
      if (!operates_on_channel(row)) continue;
      out.probes[row].clear();
      for (const std::uint64_t call : (*found)[row]) out.probes[row].push_back(file_.offset_of(call));
    }
  }

  const ElfFile& file_;
  const GoPclntab& table_;
  std::uint64_t end_;
  std::uint64_t begin_;
  std::array<std::uint64_t, kGoFunctions.size()> entries_{};
};

void find_functions(const ElfFile& file, GoExecutable& out) {
  Elf* const elf = file.elf();
  const auto section = section_named(elf, {".gopclntab", ".data.rel.ro.gopclntab"});
  const auto text = section_named(elf, {".text"});
  if (!section || !text || section->sh_size > kMostTable) return;
  const auto bytes = file.read_at(section->sh_offset, section->sh_size);
  const auto table = GoPclntab::parse(bytes);
  if (!table) return;
  const auto begin = find_text(file, *text, *table, file.arm64());
  if (begin) Functions(file, *table, *text, *begin).read(out);
}

int behind_stack_check_amd64(std::span<const std::uint8_t> code) {
  const auto is = [&](std::size_t at, std::initializer_list<std::uint8_t> bytes) {
    return code.size() >= at + bytes.size() &&
           std::equal(bytes.begin(), bytes.end(), code.begin() + static_cast<std::ptrdiff_t>(at));
  };
  constexpr std::uint8_t kPushRbp = 0x55;
  std::size_t at = 0;
  if (is(0, {kPushRbp})) return 0;  // no check: cannot grow the stack
  if (is(0, {0x49, 0x3b, 0x66, 0x10})) {
    at = 4;  // cmp 0x10(%r14),%rsp
  } else {
    if (is(0, {0x4c, 0x8d, 0x64, 0x24})) at = 5;  // lea -x(%rsp),%r12
    if (is(0, {0x4c, 0x8d, 0xa4, 0x24})) at = 8;
    if (at == 0 || !is(at, {0x4d, 0x3b, 0x66, 0x10})) return -1;  // cmp 0x10(%r14),%r12
    at += 4;
  }
  if (is(at, {0x76})) {
    at += 2;  // jbe
  } else if (is(at, {0x0f, 0x86})) {
    at += 6;
  } else {
    return -1;
  }
  return is(at, {kPushRbp}) ? static_cast<int>(at) : -1;
}

// ldr x16, [x28, #16]; [sub x17, sp, #n]; cmp sp|x17, x16; b.ls
int behind_stack_check_arm64(std::span<const std::uint8_t> code) {
  constexpr std::uint32_t kLoad = 0xf9400b90;
  std::array<std::uint32_t, 4> words{};
  if (code.size() < sizeof(words)) return -1;
  std::memcpy(words.data(), code.data(), sizeof(words));
  if (words[0] != kLoad) return -1;
  for (int i = 1; i < 4; ++i) {
    if ((words[static_cast<std::size_t>(i)] & 0xff00001fU) == 0x54000009U) return 4 * (i + 1);
  }
  return -1;
}

}  // namespace

int behind_stack_check(std::span<const std::uint8_t> code, bool arm64) {
  return arm64 ? behind_stack_check_arm64(code) : behind_stack_check_amd64(code);
}

Result<GoExecutable> read_go_executable(const std::string& path, const std::string& version) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  const ElfFile& elf = **file;
  GoExecutable out;
  out.version = version;
  auto offsets = go_offsets_of(version);
  if (!offsets) offsets = go_offsets_from_dwarf(elf.fd());
  if (!offsets) return Error{"release " + version + " is not known and the executable was stripped", ENOTSUP, {}};
  out.offsets = *offsets;
  const Symbols symbols = read_symbols(elf.elf());
  out.allp = symbols.allp.value_or(0);
  read_segments(elf.elf(), out);
  out.relocated = elf.relocated();
  const auto g = elf.arm64() ? std::optional<std::int32_t>(1) : g_from_thread_pointer(elf.elf(), symbols);
  if (!g) return Error{"its C code has thread-local variables and the executable was stripped", ENOTSUP, {}};
  out.g = *g;
  find_functions(elf, out);
  return out;
}

}  // namespace wirespan
