/* Not attached: run by the agent (BPF_PROG_TEST_RUN).
 *
 * `control` changes one field of a connection's state, which a map update from user space could not do without undoing
 * what the I/O program writes at the same time.
 *
 * `maps` reads and writes maps, because while an operation of bpf(2) does so the kernel runs no program attached by
 * perf on that CPU, and for as long as the agent is switched out in the middle of it (docs/adr/0014). */
#include "bpf/core/conns.h"
#include "bpf/core/continuation.h"
#include "bpf/core/futures.h"
#include "bpf/core/gate.h"
#include "bpf/core/goroutine.h"
#include "bpf/core/java.h"
#include "bpf/core/node.h"
#include "bpf/core/python.h"
#include "bpf/core/targets.h"
#include "bpf/core/tokio.h"
#include "bpf/core/waking.h"

SEC("raw_tp/ws_control")
int BPF_PROG(control, __u64 op, __u64 sock, __u64 id, __u64 value) {
  struct ws_conn *conn = ws_conn_find(sock);
  if (!conn || conn->id != id) return 0;
  if (op == WS_CONTROL_VERDICT) conn->verdict = value;
  if (op == WS_CONTROL_FLUSH) ws_flush_pending(conn);
  if (op == WS_CONTROL_CLOSE) ws_conn_close(sock, conn, value);
  return 1;
}

/* Set and read by the agent around a run of `maps`, of which there is one at a time. */
extern struct ws_map_entry ws_map_entry;

/* 0, or -errno */
WS_INLINE long ws_at_map(void *map, __u32 value_size, __u64 op, __u64 flags) {
  if (op == WS_MAP_UPDATE) return bpf_map_update_elem(map, ws_map_entry.key, ws_map_entry.value, flags);
  if (op == WS_MAP_DELETE) return bpf_map_delete_elem(map, ws_map_entry.key);
  const void *found = bpf_map_lookup_elem(map, ws_map_entry.key);
  return found ? bpf_probe_read_kernel(ws_map_entry.value, value_size, found) : -WS_ENOENT;
}

#define WS_AT_MAP(number, map) \
  if (which == (number)) return ws_at_map(&(map), sizeof(*(map).value), op, flags)

SEC("raw_tp/ws_maps")
int BPF_PROG(maps, __u64 which, __u64 op, __u64 flags) {
  WS_AT_MAP(WS_MAP_TARGETS, ws_targets);
  WS_AT_MAP(WS_MAP_CONNS, ws_conns);
  WS_AT_MAP(WS_MAP_TURNS, ws_turns);
  WS_AT_MAP(WS_MAP_GO_PROCESSES, ws_go_processes);
  WS_AT_MAP(WS_MAP_PYTHON_PROCESSES, ws_python_processes);
  WS_AT_MAP(WS_MAP_PYTHON_CONTEXTS, ws_python_contexts);
  WS_AT_MAP(WS_MAP_PYTHON_DEQUES, ws_python_deques);
  WS_AT_MAP(WS_MAP_JAVA_PROCESSES, ws_java_processes);
  WS_AT_MAP(WS_MAP_JAVA_WAYS, ws_java_ways);
  WS_AT_MAP(WS_MAP_JAVA_KINDS, ws_java_kinds);
  WS_AT_MAP(WS_MAP_NODE_PROCESSES, ws_node_processes);
  WS_AT_MAP(WS_MAP_TOKIO_PROCESSES, ws_tokio_processes);
  WS_AT_MAP(WS_MAP_TOKIO_GUESSES, ws_tokio_guesses);
  WS_AT_MAP(WS_MAP_WAKING_PROCESSES, ws_waking_processes);
  return -WS_ENOENT;
}
