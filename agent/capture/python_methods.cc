#include "agent/capture/python_methods.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace wirespan {
namespace {

// struct PyMethodDef
constexpr std::uint64_t kEntrySize = 32;
constexpr std::uint64_t kFunction = 8;

constexpr std::size_t kPiece = 1U << 20U;
constexpr std::uint64_t kMostBytes = 256U << 20U;  // of a file, that are searched
constexpr std::size_t kMostSegments = 32;
constexpr std::uint64_t kMostRelocations = 24U << 20U;  // bytes of them: a million
constexpr std::size_t kMostPlaces = 64;                 // at which the name stands

std::uint64_t word_at(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

template <class Visit>
void visit_segments(const ElfFile& file, bool writable, Visit visit) {
  std::size_t count = 0;
  if (elf_getphdrnum(file.elf(), &count) != 0) return;
  for (std::size_t i = 0; i < std::min(count, kMostSegments); ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(file.elf(), static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
    if (((header.p_flags & PF_W) != 0) == writable) visit(header);
  }
}

// Calls visit(address, bytes) for pieces of a segment that overlap by `overlap`.
template <class Visit>
void visit_pieces(const ElfFile& file, const GElf_Phdr& segment, std::size_t overlap, Visit visit) {
  const std::uint64_t size = std::min<std::uint64_t>(segment.p_filesz, kMostBytes);
  for (std::uint64_t at = 0; at < size; at += kPiece) {
    const auto bytes = file.read_at(segment.p_offset + at, std::min<std::uint64_t>(kPiece + overlap, size - at));
    if (bytes.empty()) return;
    visit(segment.p_vaddr + at, bytes);
  }
}

}  // namespace

PythonMethods::PythonMethods(const ElfFile& file, std::span<const char* const> names, std::size_t rarest)
    : file_(file), methods_(names), rarest_(rarest) {
  find_names();
  if (names_.empty()) return;
  read_relocations();
  find_words();
  find_table();
}

std::uint64_t PythonMethods::function(std::size_t method) const {
  return word(table_ + method * kEntrySize + kFunction);
}

void PythonMethods::find_names() {
  const std::string_view name(methods_[rarest_], std::strlen(methods_[rarest_]) + 1);  // with the byte that ends it
  visit_segments(file_, false, [&](const GElf_Phdr& segment) {
    visit_pieces(file_, segment, name.size(), [&](std::uint64_t address, const std::vector<std::uint8_t>& bytes) {
      const std::string_view text = as_text(bytes);
      for (std::size_t at = 0; names_.size() < kMostPlaces; ++at) {
        at = text.find(name, at);
        if (at == std::string_view::npos) return;
        names_.push_back(address + at);
      }
    });
  });
}

void PythonMethods::read_relocations() {
  const GElf_Shdr section = file_.section(".rela.dyn");
  if (section.sh_type != SHT_RELA || section.sh_size > kMostRelocations) return;
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
void PythonMethods::find_words() {
  visit_segments(file_, true, [this](const GElf_Phdr& segment) {
    visit_pieces(file_, segment, 0, [this](std::uint64_t address, const std::vector<std::uint8_t>& bytes) {
      for (std::size_t at = (8 - address % 8) % 8; at + 8 <= bytes.size(); at += 8)
        note(address + at, word_at(&bytes[at]));
    });
  });
}

void PythonMethods::find_table() {
  for (const std::uint64_t slot : slots_) {
    const std::uint64_t table = slot - rarest_ * kEntrySize;
    if (table == table_ || !is_table(table)) continue;
    if (table_ != 0) {
      table_ = 0;
      return;
    }
    table_ = table;
  }
}

void PythonMethods::note(std::uint64_t slot, std::uint64_t word) {
  if (slots_.size() < kMostPlaces && std::ranges::find(names_, word) != names_.end()) slots_.push_back(slot);
}

std::uint64_t PythonMethods::word(std::uint64_t address) const {
  if (const auto it = relocated_.find(address); it != relocated_.end()) return it->second;
  const std::uint64_t offset = file_.offset_of(address);
  const auto bytes = offset == 0 ? std::vector<std::uint8_t>() : file_.read_at(offset, sizeof(std::uint64_t));
  return bytes.size() == sizeof(std::uint64_t) ? word_at(bytes.data()) : 0;
}

bool PythonMethods::is_table(std::uint64_t table) const {
  for (std::size_t i = 0; i < methods_.size(); ++i) {
    const std::size_t size = std::strlen(methods_[i]) + 1;
    const std::uint64_t offset = file_.offset_of(word(table + i * kEntrySize));
    const auto name = offset == 0 ? std::vector<std::uint8_t>() : file_.read_at(offset, size);
    if (name.size() != size || std::memcmp(name.data(), methods_[i], size) != 0) return false;
  }
  return true;
}

}  // namespace wirespan
