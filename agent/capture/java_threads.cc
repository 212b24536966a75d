#include "agent/capture/java_threads.h"

#include <array>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// The launcher maps libjvm in its first moments, its own threads are up some 50 ms later. Programs that embed a JVM may
// begin it late.
constexpr std::array<std::int64_t, 10> kLooks{0,
                                              50'000'000,
                                              100'000'000,
                                              200'000'000,
                                              400'000'000,
                                              1'000'000'000,
                                              3'000'000'000,
                                              10'000'000'000,
                                              30'000'000'000,
                                              120'000'000'000};

}  // namespace

JavaThreads::JavaThreads(RuntimeKernel& kernel, Counters& counters)
    : MappedRuntime("java", "virtual threads", kLooks, counters), kernel_(kernel) {}

MappedFile JavaThreads::mapping_of(std::uint32_t pid, const std::string& maps) const {
  return java_mapping(pid, maps);
}

Status JavaThreads::understand(std::uint32_t pid, const std::string& /*maps*/, const MappedFile& mapping) {
  const auto& symbols = libraries_.get(mapping, "libjvm", [&] { return read_java_symbols(mapping.path); });
  if (!symbols) return symbols.error();
  const auto where = read_java_process(pid, mapping, *symbols);
  if (!where) return where.error();
  kernel_.set_java_process(pid, *where);
  return {};
}

void JavaThreads::release(std::uint32_t pid) {
  kernel_.remove_java_process(pid);
}

std::string describe_java(std::uint32_t pid) {
  const MappedFile mapping = java_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto symbols = read_java_symbols(mapping.path);
  if (!symbols) return symbols.error().what;
  const auto where = read_java_process(pid, mapping, *symbols);
  return where ? "virtual threads can be seen" : where.error().what;
}

}  // namespace wirespan
