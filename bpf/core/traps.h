/* How often processes were interrupted at our uprobes: what a breakpoint costs is in no program's run time. Counted:
 * every program of a uprobe. Read: the agent, from mapped memory. By CPU, and CPUs past those there is room for share:
 * a lost one does no harm. */
#ifndef WIRESPAN_BPF_CORE_TRAPS_H
#define WIRESPAN_BPF_CORE_TRAPS_H

#include "bpf/core/kernel.h"

extern struct ws_traps ws_traps[WS_TRAP_CPUS];

WS_INLINE void ws_trapped(enum ws_trap trap) {
  ws_traps[bpf_get_smp_processor_id() & (WS_TRAP_CPUS - 1)].hits[trap]++;
}

#endif
