// libFuzzer: any bytes as .gopclntab, and as code. Nothing may be read outside of them.
#include <cstdlib>
#include <utility>

#include "agent/capture/go_calls.h"
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
    wirespan::GoCalls calls({0x1000, 0x1010}, arm64);
    calls.look_at(bytes, 0x1000);
    if (const auto found = std::move(calls).take()) {
      for (const std::uint64_t call : found->front()) {
        if (call < 0x1000 || call >= 0x1000 + size) std::abort();
      }
    }
  }
  return 0;
}
