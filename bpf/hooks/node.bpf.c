/* Uprobes on what Node's JavaScript does without a socket, at the entries of functions. The agent attaches them to each
 * process (capture/node_probes). Only memory is read: one of them has V8's calling convention. */
#include "bpf/core/node.h"

#include "bpf/core/traps.h"

WS_INLINE int ws_node_probe(__u32 where) {
  ws_trapped(WS_TRAP_NODE);
  const __u64 me = bpf_get_current_pid_tgid();
  return ws_tell_async(me >> 32, (__u32)me, 0, where);
}

SEC("uprobe")
int node_begins(struct pt_regs *regs) {
  return ws_node_probe(WS_ASYNC_BEGINS);
}

SEC("uprobe")
int node_makes(struct pt_regs *regs) {
  return ws_node_probe(WS_ASYNC_MAKES);
}

SEC("uprobe")
int node_sets(struct pt_regs *regs) {
  return ws_node_probe(WS_ASYNC_SETS);
}

SEC("uprobe")
int node_resolves(struct pt_regs *regs) {
  return ws_node_probe(WS_ASYNC_RESOLVES);
}
