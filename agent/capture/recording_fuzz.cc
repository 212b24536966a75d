// libFuzzer: any bytes as a recording. What is decoded must encode again; nothing may crash or grow without bound.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "agent/capture/recording.h"
#include "agent/capture/recording_format.h"

namespace {

struct Again : wirespan::Sink<wirespan::Event> {
  void accept(const wirespan::Event& event) override {
    text.clear();
    wirespan::recording::encode_event(text, event);
    if (text.size() < 6) std::abort();
  }
  std::string text;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int fd = memfd_create("recording", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  static const std::string header = std::string(wirespan::recording::kMagic) + std::string("\1\0\0\0", 4);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, header.data(), header.size(), 0) < 0 ||
      pwrite(fd, data, size, static_cast<off_t>(header.size())) < 0) {
    return 0;
  }
  wirespan::Counters counters;
  auto source = wirespan::RecordingSource::open(path, counters);
  if (!source) return 0;
  Again again;
  const std::atomic<bool> stop{false};
  (void)(*source)->run(again, stop);
  return 0;
}
