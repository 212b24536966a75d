#include "agent/capture/go_offsets.h"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

namespace wirespan {
namespace {

struct Release {
  unsigned minor;  // of 1.minor: layouts have not changed within one
  GoOffsets offsets;
};
// go_offsets/table.sh; the same on amd64 and arm64.
constexpr std::array kReleases{
    Release{21, {152, 272, 48, 384, 40, 48, 56, 72}}, Release{22, {152, 272, 48, 384, 40, 48, 56, 72}},
    Release{23, {160, 280, 48, 376, 48, 56, 64, 80}}, Release{24, {160, 280, 48, 376, 48, 56, 64, 80}},
    Release{25, {152, 272, 48, 376, 48, 56, 64, 80}}, Release{26, {152, 280, 48, 384, 48, 56, 64, 80}},
};

// "go1.22.1", "go1.26rc1", "go1.25.3 X:nodwarf5": 22, 26, 25.
std::optional<unsigned> minor_of(std::string_view version) {
  constexpr std::string_view kPrefix = "go1.";
  if (!version.starts_with(kPrefix)) return std::nullopt;
  version.remove_prefix(kPrefix.size());
  unsigned minor = 0;
  const auto [end, failed] = std::from_chars(version.data(), version.data() + version.size(), minor);
  if (failed != std::errc()) return std::nullopt;
  const std::string_view rest(end, version.data() + version.size());
  // "go1.27-devel", "go1.26rc1": what comes before a release may still change.
  return rest.empty() || rest.front() == '.' || rest.front() == ' ' ? std::optional(minor) : std::nullopt;
}

struct Field {
  std::string_view type;
  std::string_view name;
  std::uint16_t GoOffsets::* to;
};
constexpr std::array<Field, 8> kFields{{{"runtime.g", "goid", &GoOffsets::goid},
                                        {"runtime.g", "parentGoid", &GoOffsets::parent},
                                        {"runtime.g", "m", &GoOffsets::m},
                                        {"runtime.p", "goidcache", &GoOffsets::next},
                                        {"runtime.hchan", "sendx", &GoOffsets::sendx},
                                        {"runtime.hchan", "recvx", &GoOffsets::recvx},
                                        {"runtime.hchan", "recvq", &GoOffsets::recvq},
                                        {"runtime.hchan", "sendq", &GoOffsets::sendq}}};

std::string_view name_of(Dwarf_Die& die) {
  const char* const name = dwarf_diename(&die);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

// How many of the wanted fields the struct gave.
unsigned read_struct(Dwarf_Die& type, GoOffsets& out) {
  unsigned found = 0;
  const std::string_view type_name = name_of(type);
  Dwarf_Die member;
  for (int more = dwarf_child(&type, &member); more == 0; more = dwarf_siblingof(&member, &member)) {
    for (const Field& field : kFields) {
      if (field.type != type_name || field.name != name_of(member)) continue;
      Dwarf_Attribute attribute;
      Dwarf_Word offset = 0;
      if (dwarf_formudata(dwarf_attr(&member, DW_AT_data_member_location, &attribute), &offset) != 0) continue;
      if (offset > UINT16_MAX) continue;
      out.*field.to = static_cast<std::uint16_t>(offset);
      ++found;
    }
  }
  return found;
}

struct DwarfEnd {
  void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
};

}  // namespace

std::optional<GoOffsets> go_offsets_of(std::string_view version) {
  const auto minor = minor_of(version);
  if (!minor) return std::nullopt;
  for (const Release& release : kReleases) {
    if (release.minor == *minor) return release.offsets;
  }
  return std::nullopt;
}

std::optional<GoOffsets> go_offsets_from_dwarf(int fd) {
  const std::unique_ptr<Dwarf, DwarfEnd> dwarf(dwarf_begin(fd, DWARF_C_READ));
  if (!dwarf) return std::nullopt;
  GoOffsets out;
  unsigned found = 0;
  Dwarf_CU* unit = nullptr;
  Dwarf_Die top;
  while (dwarf_get_units(dwarf.get(), unit, &unit, nullptr, nullptr, &top, nullptr) == 0) {
    if (name_of(top) != "runtime") continue;
    Dwarf_Die die;
    for (int more = dwarf_child(&top, &die); more == 0; more = dwarf_siblingof(&die, &die)) {
      if (dwarf_tag(&die) == DW_TAG_structure_type) found += read_struct(die, out);
    }
  }
  return found == kFields.size() ? std::optional(out) : std::nullopt;
}

}  // namespace wirespan
