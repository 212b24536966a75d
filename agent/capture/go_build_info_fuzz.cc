// libFuzzer: any file as an executable of a target. No crash, and a version is short and says Go.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/capture/go_build_info.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int fd = memfd_create("executable", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) < 0) return 0;
  const std::string version = wirespan::go_version_of(path);
  if (!version.empty() && (version.size() > 128 || !version.starts_with("go"))) std::abort();
  return 0;
}
