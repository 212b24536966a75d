/* Knobs: read-only data, set by the agent before the programs are loaded, so that dead branches are pruned. */
#ifndef WIRESPAN_BPF_CORE_CONFIG_H
#define WIRESPAN_BPF_CORE_CONFIG_H

#include "bpf/core/kernel.h"

/* enum ws_op by system call number */
extern const volatile __u8 ws_ops[WS_SYSCALLS];
/* Trace every process but the excluded ones. */
extern const volatile bool ws_trace_all;
/* First bytes of each turn, for processes found by ws_trace_all. */
extern const volatile __u32 ws_capture_default;
/* Tell every exec and every listen of the host: selectors may match them. */
extern const volatile bool ws_watch_exec;
extern const volatile bool ws_watch_listen;
/* Wake the reader when this much is waiting in the ring buffer; else it comes by itself. */
extern const volatile __u64 ws_wake_bytes;
/* The reader has found nothing for a while and comes seldom now. Set: the agent, cleared: whoever wakes it. */
extern __u32 ws_reader_dozes;
/* What to add to CLOCK_MONOTONIC, which TCP keeps, for CLOCK_BOOTTIME; set anew after the machine slept. */
extern __u64 ws_boot_offset;
/* code segment of 32-bit user code (x86: __USER32_CS); 0: no such thing */
extern const volatile __u32 ws_compat_cs;

#endif
