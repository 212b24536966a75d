#include "agent/capture/node_probes.h"

#include <array>
#include <utility>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// The ids are there after some 20 ms.
constexpr std::array<std::int64_t, 9> kLooks{
    0, 50'000'000, 100'000'000, 200'000'000, 400'000'000, 1'000'000'000, 3'000'000'000, 10'000'000'000, 30'000'000'000};

}  // namespace

NodeProbes::NodeProbes(RuntimeKernel& kernel, Counters& counters)
    : MappedRuntime("node", "async ids", kLooks, counters),
      kernel_(kernel),
      probes_(counters.get("capture.node.probes_attached")) {}

MappedFile NodeProbes::mapping_of(std::uint32_t pid, const std::string& maps) const {
  return node_mapping(pid, maps);
}

Status NodeProbes::understand(std::uint32_t pid, const std::string& maps, const MappedFile& mapping) {
  const auto& executable = executables_.get(mapping, "executable", [&] { return read_node_executable(mapping.path); });
  if (!executable) return executable.error();
  const auto ids = find_async_ids(pid, maps);
  if (!ids) return ids.error();
  if (Status attached = attach(pid, mapping.path, *executable); !attached) return attached;
  kernel_.set_node_process(pid, ws_node_process{*ids, 0, 0, 0});
  return {};
}

void NodeProbes::release(std::uint32_t pid) {
  if (const auto probes = probes_of_.extract(pid); !probes.empty()) {
    for (const int probe : probes.mapped()) kernel_.detach_uprobes(probe);
  }
  kernel_.remove_node_process(pid);
}

Status NodeProbes::attach(std::uint32_t pid, const std::string& path, const NodeExecutable& executable) {
  const std::array<std::pair<const char*, const std::vector<std::uint64_t>*>, 4> all{
      {{"node_begins", &executable.begins},
       {"node_makes", &executable.makes},
       {"node_sets", &executable.sets},
       {"node_resolves", &executable.resolves}}};
  for (const auto& [program, offsets] : all) {
    if (offsets->empty()) continue;
    auto probes = kernel_.attach_uprobes(pid, program, path, *offsets);
    // Without one of them contexts would be taken for others.
    if (!probes) return Error{probes.error().text(), probes.error().code, {}};
    probes_of_[pid].push_back(*probes);
    probes_.add(offsets->size());
  }
  return {};
}

std::string describe_node(std::uint32_t pid) {
  const std::string maps = maps_of(pid);
  const MappedFile mapping = node_mapping(pid, maps);
  if (mapping.path.empty()) return {};
  const auto executable = read_node_executable(mapping.path);
  if (!executable) return executable.error().what;
  const auto ids = find_async_ids(pid, maps);
  return ids ? "async ids can be seen" : ids.error().what;
}

}  // namespace wirespan
