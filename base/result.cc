#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace wirespan {

std::string Error::text() const {
  std::string out = what;
  if (code != 0) out.append(": ").append(std::strerror(code));
  if (!hint.empty()) out.append(". ").append(hint);
  return out;
}

Error errno_error(std::string_view what) {
  return Error{std::string(what), errno, {}};
}

}  // namespace wirespan
