#include "agent/capture/kernel_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace wirespan {
namespace {

// By enum ws_map.
constexpr std::array<const char*, WS_MAP_COUNT> kNames{
    "ws_targets",         "ws_conns",           "ws_turns",          "ws_go_processes",    "ws_python_processes",
    "ws_python_contexts", "ws_python_deques",   "ws_java_processes", "ws_java_ways",       "ws_java_kinds",
    "ws_node_processes",  "ws_tokio_processes", "ws_tokio_guesses",  "ws_waking_processes"};

}  // namespace

KernelMaps::KernelMaps(const bpf_object& object, int program, ws_map_entry& entry) : program_(program), entry_(&entry) {
  for (std::size_t i = 0; i < fds_.size(); ++i) fds_[i] = bpf_object__find_map_fd_by_name(&object, kNames[i]);
}

int KernelMaps::run(ws_map map, ws_map_op op, std::uint64_t flags) const {
  const ws_map_argument argument{map, static_cast<__u64>(op), flags};
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &argument, .ctx_size_in = sizeof(argument));
  if (bpf_prog_test_run_opts(program_, &options) == 0) return static_cast<int>(options.retval);
  if (op == WS_MAP_UPDATE) return bpf_map_update_elem(fds_[map], entry_->key, entry_->value, flags);
  if (op == WS_MAP_DELETE) return bpf_map_delete_elem(fds_[map], entry_->key);
  return bpf_map_lookup_elem(fds_[map], entry_->key, entry_->value);
}

bool KernelMaps::next_key(ws_map map, const void* key, void* next) const {
  return bpf_map_get_next_key(fds_[map], key, next) == 0;
}

}  // namespace wirespan
