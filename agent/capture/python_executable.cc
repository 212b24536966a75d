#include "agent/capture/python_executable.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "agent/capture/elf_file.h"
#include "agent/capture/returns.h"

namespace wirespan {
namespace {

constexpr unsigned kOldest = 8;
constexpr std::array<PythonOffsets, 6> kOffsets{{{176, 240, 0},      // 3.8
                                                 {176, 240, 0},      // 3.9
                                                 {176, 240, 0},      // 3.10
                                                 {152, 224, 296},    // 3.11
                                                 {136, 208, 232},    // 3.12
                                                 {152, 208, 232}}};  // 3.13

struct Symbol {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};
struct Symbols {
  Symbol context_type;
  Symbol version;
  std::array<Symbol, 2> makers;
};

Symbols read_symbols(const ElfFile& file) {
  Symbols out;
  const std::array<std::pair<const char*, Symbol*>, 4> wanted{{{"PyContext_Type", &out.context_type},
                                                               {"Py_Version", &out.version},
                                                               {"PyContext_CopyCurrent", &out.makers[0]},
                                                               {"PyContext_New", &out.makers[1]}}};
  file.visit_dynamic_symbols([&](const char* name, const GElf_Sym& symbol) {
    if (std::strncmp(name, "Py", 2) != 0) return;
    for (const auto& [of, to] : wanted) {
      if (std::strcmp(name, of) == 0) *to = {symbol.st_value, symbol.st_size};
    }
  });
  return out;
}

// PY_VERSION_HEX, since 3.11 a constant one can read: 0x030b07f0.
unsigned minor_from(const ElfFile& file, const Symbol& version) {
  const std::uint64_t at = version.address == 0 ? 0 : file.offset_of(version.address);
  const auto bytes = at == 0 ? std::vector<std::uint8_t>() : file.read_at(at, 4);
  return bytes.size() == 4 && bytes[3] == 3 ? bytes[2] : 0;
}

}  // namespace

std::optional<PythonOffsets> python_offsets_of(unsigned minor) {
  if (minor < kOldest || minor >= kOldest + kOffsets.size()) return std::nullopt;
  return kOffsets[minor - kOldest];
}

unsigned python_minor_of(std::string_view file_name) {
  constexpr std::string_view kBefore = "python3.";
  const auto at = file_name.rfind(kBefore);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = file_name.substr(at + kBefore.size());
  unsigned minor = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), minor);
  // "3.13t" and "3.8d" lay out their objects differently.
  const bool ends = end == rest.data() + rest.size() || *end == '.' || *end == 'm';
  return error == std::errc() && ends ? minor : 0;
}

Result<PythonExecutable> read_python_executable(const std::string& path, unsigned minor) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  const ElfFile& elf = **file;
  if (elf.arm64()) return Error{"Python's thread states are only found on amd64", ENOTSUP, {}};
  const Symbols symbols = read_symbols(elf);
  if (symbols.context_type.address == 0 || symbols.makers[0].address == 0) {
    return Error{"it has no symbols of CPython", ENOENT, {}};
  }
  PythonExecutable out;
  out.minor = std::max(minor, minor_from(elf, symbols.version));
  const auto offsets = python_offsets_of(out.minor);
  if (!offsets) {
    return Error{out.minor == 0 ? "its release is not known"
                                : "release 3." + std::to_string(out.minor) + " is not one that is known (3.8 to 3.13)",
                 ENOTSUP,
                 {}};
  }
  out.offsets = *offsets;
  out.context_type = symbols.context_type.address;
  out.base = elf.base();
  out.relocated = elf.relocated();
  const ReadCode read = [&elf](std::uint64_t address, std::size_t size) {
    const std::uint64_t offset = elf.offset_of(address);
    return offset == 0 ? std::vector<std::uint8_t>() : elf.read_at(offset, size);
  };
  for (const Symbol& maker : symbols.makers) {
    if (maker.address == 0) continue;
    const auto returns = returns_of(maker.address, maker.size, read);
    // Half of the births would make a context pass for the one that was at its address before.
    if (!returns) return Error{"where its functions return is not understood: " + returns.error().what, ENOTSUP, {}};
    for (const std::uint64_t address : *returns) {
      const std::uint64_t offset = elf.offset_of(address);
      if (std::ranges::find(out.births, offset) == out.births.end()) out.births.push_back(offset);
    }
  }
  return out;
}

}  // namespace wirespan
