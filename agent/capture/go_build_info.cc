#include "agent/capture/go_build_info.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace wirespan {
namespace {

constexpr std::string_view kMagic{"\xff Go buildinf:", 14};
constexpr std::uint8_t kInlineStrings = 2;
constexpr std::size_t kTextAt = 32;

std::string version_in(std::string_view section) {
  if (!section.starts_with(kMagic)) return {};
  Reader reader(as_bytes(section));
  static_cast<void>(reader.take(kMagic.size() + 1));
  const auto flags = reader.u8();
  if (!flags || (*flags & kInlineStrings) == 0 || section.size() <= kTextAt) return "go";
  const auto length = static_cast<std::uint8_t>(section[kTextAt]);
  // A version is shorter than 128 bytes, so its varint is one byte.
  const std::string_view text = section.substr(kTextAt + 1, length);
  return length < 128 && text.starts_with("go") ? std::string(text.substr(0, text.find(' '))) : "go";
}

}  // namespace

std::string go_version_of(const std::string& path) {
  elf_version(EV_CURRENT);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string version;
  if (Elf* const elf = elf_begin(fd, ELF_C_READ, nullptr); elf != nullptr) {
    std::size_t names = 0;
    if (elf_getshdrstrndx(elf, &names) == 0) {
      for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr; section = elf_nextscn(elf, section)) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr) continue;
        const char* const name = elf_strptr(elf, names, header.sh_name);
        if (name == nullptr || std::string_view(name) != ".go.buildinfo") continue;
        const Elf_Data* const data = elf_rawdata(section, nullptr);
        if (data != nullptr && data->d_buf != nullptr) {
          version = version_in({static_cast<const char*>(data->d_buf), data->d_size});
        }
        break;
      }
    }
    elf_end(elf);
  }
  close(fd);
  return version;
}

}  // namespace wirespan
