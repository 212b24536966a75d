// An ELF file of a traced program, as far as several readers of runtimes need it.
#pragma once

#include <gelf.h>
#include <libelf.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace wirespan {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

class ElfFile {
 public:
  // Fails for what is no ELF file of a 64-bit machine that we know (amd64, arm64).
  [[nodiscard]] static Result<std::unique_ptr<ElfFile>> open(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] Elf* elf() const { return elf_.get(); }
  [[nodiscard]] bool arm64() const { return header_.e_machine == EM_AARCH64; }
  [[nodiscard]] bool relocated() const { return header_.e_type == ET_DYN; }

  // At most `size` bytes of the file.
  [[nodiscard]] std::vector<std::uint8_t> read_at(std::uint64_t offset, std::size_t size) const;
  // 0: no segment of the file holds the address.
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const;
  // Calls visit(name, symbol) for what the file offers to others (.dynsym), in their order.
  using VisitSymbol = std::function<void(const char*, const GElf_Sym&)>;
  void visit_dynamic_symbols(const VisitSymbol& visit) const { static_cast<void>(visit_symbols(SHT_DYNSYM, visit)); }
  // The same for all it has (.symtab), which stripping removes. False: it has none.
  bool visit_all_symbols(const VisitSymbol& visit) const { return visit_symbols(SHT_SYMTAB, visit); }
  // All zero: there is none of that name.
  [[nodiscard]] GElf_Shdr section(const char* name) const;
  // Address of the file's first page before relocation.
  [[nodiscard]] std::uint64_t base() const;

 private:
  ElfFile() = default;
  bool visit_symbols(GElf_Word section_type, const VisitSymbol& visit) const;

  int fd_ = -1;
  std::unique_ptr<Elf, ElfEnd> elf_;
  GElf_Ehdr header_{};
};

}  // namespace wirespan
