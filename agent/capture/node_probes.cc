#include "agent/capture/node_probes.h"

#include <array>
#include <cerrno>
#include <utility>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// When a process is looked at after it was found: the ids are there after some 20 ms.
constexpr std::array<std::int64_t, 9> kLooks{
    0, 50'000'000, 100'000'000, 200'000'000, 400'000'000, 1'000'000'000, 3'000'000'000, 10'000'000'000, 30'000'000'000};

}  // namespace

NodeProbes::NodeProbes(RuntimeKernel& kernel, Counters& counters)
    : kernel_(kernel),
      known_(counters.get("capture.node.processes")),
      refused_(counters.get("capture.node.processes_refused")),
      probes_(counters.get("capture.node.probes_attached")) {}

void NodeProbes::found(std::uint32_t pid, BootTime now) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  process.refused = false;
  look(pid, process);
}

void NodeProbes::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
}

void NodeProbes::forget(std::uint32_t pid, Process& process) {
  for (const int probe : process.probes) kernel_.detach_uprobe(probe);
  process.probes.clear();
  if (!std::exchange(process.known, false)) return;
  kernel_.remove_node_process(pid);
  known_.set(known_.value() - 1);
}

Status NodeProbes::attach(std::uint32_t pid, Process& process, const std::string& path,
                          const NodeExecutable& executable) {
  const std::array<std::pair<const char*, const std::vector<std::uint64_t>*>, 3> all{
      {{"node_begins", &executable.begins},
       {"node_makes", &executable.makes},
       {"node_resolves", &executable.resolves}}};
  for (const auto& [program, offsets] : all) {
    for (const std::uint64_t offset : *offsets) {
      auto probe = kernel_.attach_uprobe_in(pid, program, path, offset);
      // Without one of them contexts would be taken for others.
      if (!probe) return probe.error();
      process.probes.push_back(*probe);
      probes_.add();
    }
  }
  return {};
}

void NodeProbes::look(std::uint32_t pid, Process& process) {
  ++process.looks;
  const std::string maps = maps_of(pid);
  const MappedFile mapping = node_mapping(pid, maps);
  process.node = !mapping.path.empty();
  // Told of twice, as at the start: what is known stays known meanwhile.
  if (process.known && process.node && process.start == mapping.start && process.inode == mapping.inode) return;
  forget(pid, process);  // it runs something else now
  if (!process.node) return;
  const auto& executable = executables_.get(mapping, "executable", [&] { return read_node_executable(mapping.path); });
  const auto ids = executable ? find_async_ids(pid, maps) : Result<std::uint64_t>(executable.error());
  Status attached = ids ? attach(pid, process, mapping.path, *executable) : Status(ids.error());
  if (!attached) {
    process.why = attached.error().text();
    process.refused = attached.error().code != EAGAIN;
    return forget(pid, process);
  }
  process.known = true;
  process.start = mapping.start;
  process.inode = mapping.inode;
  known_.add();
  kernel_.set_node_process(pid, ws_node_process{*ids, 0, 0, 0});
}

void NodeProbes::sweep(BootTime now) {
  std::uint64_t refused = 0;
  for (auto& [pid, process] : processes_) {
    if (process.refused) ++refused;
    if (process.known || process.refused || process.looks >= kLooks.size()) continue;
    if (now - process.since >= kLooks[process.looks]) look(pid, process);
  }
  refused_.set(refused);
}

std::vector<std::string> NodeProbes::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (!process.node) continue;
    out.push_back(std::to_string(pid) +
                  " node: " + (process.known ? "async ids are seen" : "async ids are not seen: " + process.why));
  }
  return out;
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
