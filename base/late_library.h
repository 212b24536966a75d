// A shared library that is loaded when it is first needed: what few users need should cost the others neither memory
// nor time at the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/result.h"

namespace wirespan {

// What a library that is opened late tells whoever packages the executable, which no longer names it among those it
// needs (https://uapi-group.org/specifications/specs/elf_dlopen_metadata/). `text` is JSON: an array of objects with
// "feature", "description", "priority" and "soname".
template <std::size_t Size>
struct DlopenNote {
  consteval explicit DlopenNote(const char (&text)[Size]) {
    for (std::size_t i = 0; i < Size; ++i) json[i] = text[i];
  }
  std::uint32_t name_size = sizeof(name);
  std::uint32_t json_size = Size;
  std::uint32_t type = 0x407c0c0a;
  char name[4] = {'F', 'D', 'O', 0};
  alignas(4) char json[Size]{};
};

// Never unloaded; a copy is the same library. Any thread.
class LateLibrary {
 public:
  // The first of `sonames` that is there: distributions name some differently. Error: none is, and why.
  [[nodiscard]] static Result<LateLibrary> open(std::initializer_list<const char*> sonames);

  // Sets `to`, whose type the library's own header declares (decltype). Error: the library is too old for it.
  template <typename Function>
  [[nodiscard]] Status find(const char* name, Function*& to) const {
    auto found = address(name);
    if (!found) return found.error();
    to = reinterpret_cast<Function*>(*found);
    return {};
  }

 private:
  LateLibrary(void* handle, const char* name) : handle_(handle), name_(name) {}
  [[nodiscard]] Result<void*> address(const char* name) const;

  void* handle_;
  const char* name_;
};

}  // namespace wirespan
