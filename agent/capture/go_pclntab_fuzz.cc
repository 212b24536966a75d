// libFuzzer: any bytes as .gopclntab. Nothing may be read outside of them.
#include <cstdlib>

#include "agent/capture/go_executable.h"
#include "agent/capture/go_pclntab.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const wirespan::Bytes bytes(data, size);
  if (const auto table = wirespan::GoPclntab::parse(bytes)) {
    for (std::size_t i = 0; i <= table->size(); ++i) {
      if (const auto function = table->at(i); function && !function->name.empty()) {
        const auto* const begin = reinterpret_cast<const std::uint8_t*>(function->name.data());  // NOLINT(*-cast)
        if (begin < data || begin + function->name.size() > data + size) std::abort();
      }
    }
  }
  for (const bool arm64 : {false, true}) {
    if (wirespan::behind_stack_check(bytes, arm64) > static_cast<int>(size)) std::abort();
  }
  return 0;
}
