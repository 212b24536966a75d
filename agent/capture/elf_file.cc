#include "agent/capture/elf_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace wirespan {

Result<std::unique_ptr<ElfFile>> ElfFile::open(const std::string& path) {
  elf_version(EV_CURRENT);
  std::unique_ptr<ElfFile> file(new ElfFile());
  file->fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file->fd_ < 0) return errno_error("open " + path);
  file->elf_.reset(elf_begin(file->fd_, ELF_C_READ, nullptr));
  if (!file->elf_ || gelf_getehdr(file->elf_.get(), &file->header_) == nullptr)
    return Error{"not an ELF file", EINVAL, {}};
  if (file->header_.e_ident[EI_CLASS] != ELFCLASS64 || (!file->arm64() && file->header_.e_machine != EM_X86_64)) {
    return Error{"built for a machine other than amd64 and arm64", ENOTSUP, {}};
  }
  return file;
}

ElfFile::~ElfFile() {
  elf_.reset();
  if (fd_ >= 0) close(fd_);
}

std::vector<std::uint8_t> ElfFile::read_at(std::uint64_t offset, std::size_t size) const {
  std::vector<std::uint8_t> out(size);
  const ssize_t n = pread(fd_, out.data(), size, static_cast<off_t>(offset));
  out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return out;
}

std::uint64_t ElfFile::offset_of(std::uint64_t address) const {
  std::size_t count = 0;
  if (elf_getphdrnum(elf_.get(), &count) != 0) return 0;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf_.get(), static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
    if (address >= header.p_vaddr && address - header.p_vaddr < header.p_filesz) {
      return address - header.p_vaddr + header.p_offset;
    }
  }
  return 0;
}

GElf_Shdr ElfFile::section(const char* name) const {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf_.get(), &names) != 0) return {};
  for (Elf_Scn* section = elf_nextscn(elf_.get(), nullptr); section != nullptr;
       section = elf_nextscn(elf_.get(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* const its = elf_strptr(elf_.get(), names, header.sh_name);
    if (its != nullptr && std::strcmp(its, name) == 0) return header;
  }
  return {};
}

bool ElfFile::visit_symbols(GElf_Word section_type, const VisitSymbol& visit) const {
  bool found = false;
  for (Elf_Scn* section = elf_nextscn(elf_.get(), nullptr); section != nullptr;
       section = elf_nextscn(elf_.get(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0 || header.sh_type != section_type) continue;
    found = true;
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const std::uint64_t count = data->d_size / header.sh_entsize;
    for (std::uint64_t i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      if (symbol.st_shndx == SHN_UNDEF) continue;
      const char* const name = elf_strptr(elf_.get(), header.sh_link, symbol.st_name);
      if (name != nullptr) visit(name, symbol);
    }
  }
  return found;
}

std::uint64_t ElfFile::base() const {
  std::size_t count = 0;
  if (elf_getphdrnum(elf_.get(), &count) != 0) return 0;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf_.get(), static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
    if (header.p_offset == 0) return header.p_vaddr;
  }
  return 0;
}

}  // namespace wirespan
