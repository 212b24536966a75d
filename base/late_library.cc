#include "base/late_library.h"

#include <dlfcn.h>

#include <cerrno>
#include <string>

namespace wirespan {

Result<LateLibrary> LateLibrary::open(std::initializer_list<const char*> sonames) {
  std::string why;
  for (const char* name : sonames) {
    if (void* const handle = dlopen(name, RTLD_NOW | RTLD_LOCAL); handle != nullptr) return LateLibrary(handle, name);
    const char* const said = dlerror();
    why += (why.empty() ? "" : "; ") + std::string(said != nullptr ? said : name);
  }
  return Error{why, ENOENT, "Install the package that has " + std::string(*sonames.begin()) + "."};
}

Result<void*> LateLibrary::address(const char* name) const {
  void* const found = dlsym(handle_, name);
  if (found == nullptr) return Error{std::string(name_) + " has no " + name, ENOSYS, "A newer version is needed."};
  return found;
}

}  // namespace wirespan
