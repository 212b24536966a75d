// Any file: no crash, and what is accepted prints to something that loads to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/config/report.h"
#include "base/bytes.h"

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wirespan;
  ConfigSources sources;
  sources.environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "A" ? std::optional<std::string>("a") : std::nullopt;
  };
  auto loaded = load_config_text(as_text({data, size}), "fuzz", sources);
  if (!loaded) {
    require(!loaded.error().what.empty());
    return 0;
  }
  loaded->config.exporting.otlp.headers.clear();  // masked when printed
  const auto again = load_config_text(print_config(*loaded), "again", sources);
  require(static_cast<bool>(again));
  require(diff_config(loaded->config, again->config).empty());
  return 0;
}
