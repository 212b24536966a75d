// Any process and any text: no crash, names that are never empty, redaction that comes to an end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/enrich/cgroup.h"
#include "agent/enrich/redact.h"
#include "agent/enrich/resource.h"
#include "base/bytes.h"

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wirespan;
  std::string_view rest = as_text({data, size});
  const auto next = [&rest] {
    const auto end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return line;
  };
  event::Process process;
  process.exe = next();
  process.cwd = next();
  process.cgroup = next();
  process.otel_env = {"OTEL_RESOURCE_ATTRIBUTES=" + next()};
  while (!rest.empty() && process.cmdline.size() < 64) process.cmdline.push_back(next());
  const ProcessInfo info = describe(process, {}, {}, nullptr);
  require(!info.service.empty() && info.resource.text("service.name") == info.service);

  // What was hidden may complete the form of something beside it, so a second pass may find more; never without end.
  std::string text(as_text({data, size}));
  int passes = 0;
  while (redact_text(text)) require(++passes < 16);

  static Counters counters;
  for (const auto query :
       {RedactionRules::Query::kAll, RedactionRules::Query::kSecrets, RedactionRules::Query::kNone}) {
    Redactor redactor({.query = query}, counters);
    Attributes attributes;
    attributes.set("url.full", as_text({data, size}));
    attributes.set("url.query", as_text({data, size}));
    passes = 0;
    while (redactor.apply(attributes)) require(++passes < 16);
  }
  return 0;
}
