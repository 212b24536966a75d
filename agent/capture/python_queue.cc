#include "agent/capture/python_queue.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "agent/capture/elf_file.h"
#include "agent/capture/probe_site.h"
#include "agent/capture/returns.h"
#include "base/bytes.h"

namespace wirespan {
namespace {

// struct PyMethodDef, and where the methods stand in the table of every release (3.7 to 3.13).
constexpr std::uint64_t kEntrySize = 32;
constexpr std::uint64_t kFunction = 8;
constexpr std::array<const char*, 6> kMethods{"empty", "get", "get_nowait", "put", "put_nowait", "qsize"};
enum Method : std::size_t { kGet = 1, kGetNowait = 2, kPut = 3, kPutNowait = 4 };
constexpr std::string_view kRarest("get_nowait", 11);  // with the byte that ends it

constexpr std::size_t kPiece = 1U << 20U;
constexpr std::uint64_t kMostBytes = 256U << 20U;  // of a file, that are searched
constexpr std::size_t kMostPlaces = 64;            // at which the name stands
constexpr std::size_t kMostFunctions = 8;

Error not_understood(const std::string& why) {
  return Error{"its queue is not understood: " + why, ENOTSUP, {}};
}

std::uint64_t word_at(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

class Table {
 public:
  explicit Table(const ElfFile& file) : file_(file) {}

  // Address of the table; 0: there is none, or not just one.
  std::uint64_t find() {
    find_names();
    if (names_.empty()) return 0;
    read_relocations();
    find_words();
    std::uint64_t found = 0;
    for (const std::uint64_t slot : slots_) {
      const std::uint64_t table = slot - kGetNowait * kEntrySize;
      if (table == found || !is_table(table)) continue;
      if (found != 0) return 0;
      found = table;
    }
    return found;
  }
  [[nodiscard]] std::uint64_t function(std::uint64_t table, Method method) const {
    return word(table + method * kEntrySize + kFunction);
  }

 private:
  template <class Visit>
  void visit_segments(bool writable, Visit visit) const {
    std::size_t count = 0;
    if (elf_getphdrnum(file_.elf(), &count) != 0) return;
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Phdr header;
      if (gelf_getphdr(file_.elf(), static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
      if (((header.p_flags & PF_W) != 0) == writable) visit(header);
    }
  }

  // Calls visit(address, bytes) for pieces of a segment that overlap by `overlap`.
  template <class Visit>
  void visit_pieces(const GElf_Phdr& segment, std::size_t overlap, Visit visit) const {
    const std::uint64_t size = std::min<std::uint64_t>(segment.p_filesz, kMostBytes);
    for (std::uint64_t at = 0; at < size; at += kPiece) {
      const auto bytes = file_.read_at(segment.p_offset + at, std::min<std::uint64_t>(kPiece + overlap, size - at));
      if (bytes.empty()) return;
      visit(segment.p_vaddr + at, bytes);
    }
  }

  void find_names() {
    visit_segments(false, [this](const GElf_Phdr& segment) {
      visit_pieces(segment, kRarest.size(), [this](std::uint64_t address, const std::vector<std::uint8_t>& bytes) {
        const std::string_view text = as_text(bytes);
        for (std::size_t at = 0; names_.size() < kMostPlaces; ++at) {
          at = text.find(kRarest, at);
          if (at == std::string_view::npos) return;
          names_.push_back(address + at);
        }
      });
    });
  }

  void read_relocations() {
    const GElf_Shdr section = file_.section(".rela.dyn");
    if (section.sh_type != SHT_RELA || section.sh_size > kMostBytes) return;
    const auto bytes = file_.read_at(section.sh_offset, section.sh_size);
    for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= bytes.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela one;
      std::memcpy(&one, &bytes[at], sizeof(one));
      if (ELF64_R_TYPE(one.r_info) != R_X86_64_RELATIVE) continue;
      relocated_[one.r_offset] = static_cast<std::uint64_t>(one.r_addend);
      note(one.r_offset, static_cast<std::uint64_t>(one.r_addend));
    }
  }

  // Words that need no relocation, or where it stands in the word itself (RELR).
  void find_words() {
    visit_segments(true, [this](const GElf_Phdr& segment) {
      visit_pieces(segment, 0, [this](std::uint64_t address, const std::vector<std::uint8_t>& bytes) {
        for (std::size_t at = (8 - address % 8) % 8; at + 8 <= bytes.size(); at += 8)
          note(address + at, word_at(&bytes[at]));
      });
    });
  }

  void note(std::uint64_t slot, std::uint64_t word) {
    if (slots_.size() < kMostPlaces && std::ranges::find(names_, word) != names_.end()) slots_.push_back(slot);
  }

  [[nodiscard]] std::uint64_t word(std::uint64_t address) const {
    if (const auto it = relocated_.find(address); it != relocated_.end()) return it->second;
    const std::uint64_t offset = file_.offset_of(address);
    const auto bytes = offset == 0 ? std::vector<std::uint8_t>() : file_.read_at(offset, sizeof(std::uint64_t));
    return bytes.size() == sizeof(std::uint64_t) ? word_at(bytes.data()) : 0;
  }

  [[nodiscard]] bool is_table(std::uint64_t table) const {
    for (std::size_t i = 0; i < kMethods.size(); ++i) {
      const std::size_t size = std::strlen(kMethods[i]) + 1;
      const std::uint64_t offset = file_.offset_of(word(table + i * kEntrySize));
      const auto name = offset == 0 ? std::vector<std::uint8_t>() : file_.read_at(offset, size);
      if (name.size() != size || std::memcmp(name.data(), kMethods[i], size) != 0) return false;
    }
    return true;
  }

  const ElfFile& file_;
  std::vector<std::uint64_t> names_;  // addresses of the rarest name
  std::vector<std::uint64_t> slots_;  // of words that point to one
  std::unordered_map<std::uint64_t, std::uint64_t> relocated_;
};

// get_nowait() may end in a function that get() calls: what is taken is told where that returns, once.
Result<std::vector<std::uint64_t>> returns_of_gets(std::vector<std::uint64_t> functions, const ReadCode& read) {
  std::vector<WaysOut> ways;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    auto out = ways_out_of(functions[i], 0, read);
    if (!out) return not_understood(out.error().what);
    for (const std::uint64_t exit : (*out).exits) {
      if (std::ranges::find(functions, exit) == functions.end()) functions.push_back(exit);
    }
    if (functions.size() > kMostFunctions) return not_understood("it ends in other functions");
    ways.push_back(*std::move(out));
  }
  std::vector<std::uint64_t> returns;
  for (const WaysOut& way : ways) {
    const bool passes_on = std::ranges::any_of(way.calls, [&](std::uint64_t call) {
      return std::ranges::any_of(ways, [&](const WaysOut& of) { return std::ranges::binary_search(of.code, call); });
    });
    if (!passes_on) returns.insert(returns.end(), way.returns.begin(), way.returns.end());
  }
  std::ranges::sort(returns);
  returns.erase(std::unique(returns.begin(), returns.end()), returns.end());
  if (returns.empty()) return not_understood("it never returns");
  return returns;
}

}  // namespace

Result<PythonQueue> read_python_queue(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  const ElfFile& elf = **file;
  if (elf.arm64()) return Error{"Python's queues are only found on amd64", ENOTSUP, {}};
  Table table(elf);
  const std::uint64_t at = table.find();
  if (at == 0) return Error{"it has no table of SimpleQueue's methods", ENOENT, {}};
  const ReadCode read = [&elf](std::uint64_t address, std::size_t size) {
    const std::uint64_t offset = elf.offset_of(address);
    return offset == 0 ? std::vector<std::uint8_t>() : elf.read_at(offset, size);
  };
  PythonQueue out;
  for (const Method put : {kPut, kPutNowait}) {
    const std::uint64_t entry = elf.offset_of(table.function(at, put));
    if (entry == 0) return not_understood("a function of its table is nowhere");
    out.puts.push_back(entry + probe_site(elf.read_at(entry, kProbeSiteCode), 2));
  }
  auto returns = returns_of_gets({table.function(at, kGet), table.function(at, kGetNowait)}, read);
  if (!returns) return returns.error();
  for (const std::uint64_t address : *returns) out.gets.push_back(elf.offset_of(address));
  return out;
}

}  // namespace wirespan
