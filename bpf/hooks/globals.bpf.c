/* The global data the headers of core/ declare, defined once: the static linker keeps the space of every weak copy. */
#include "bpf/core/conns.h"
#include "bpf/core/gate.h"
#include "bpf/core/threads.h"
#include "bpf/core/tokio.h"
#include "bpf/core/traps.h"

const volatile __u8 ws_ops[WS_SYSCALLS] = {};
const volatile bool ws_trace_all = false;
const volatile __u32 ws_capture_default = 1024;
const volatile bool ws_watch_exec = false;
const volatile bool ws_watch_listen = false;
const volatile __u64 ws_wake_bytes = 512 * 1024;
const volatile __u32 ws_compat_cs = 0;

struct ws_conn_slot ws_conn_slots[WS_CONN_SLOTS] __attribute__((aligned(128))) = {};
struct ws_thread ws_slots[WS_THREAD_SLOTS] __attribute__((aligned(64))) = {};
__u32 ws_hints[WS_HINTS] = {};
__u64 ws_stats[WS_STAT_COUNT] = {};
struct ws_map_entry ws_map_entry = {};
struct ws_traps ws_traps[WS_TRAP_CPUS] __attribute__((aligned(64))) = {};
__u64 ws_tokio_replied[WS_TOKIO_REPLIED] = {};
__u32 ws_runtime_epoch = 0;
__u64 ws_boot_offset = 0;
__u32 ws_reader_dozes = 0;
__u32 ws_gate_shut = 0;
__u32 ws_gate_no_wakeups = 0;
__u32 ws_gate_capture = ~0u;
__u64 ws_tick_jiffies = 0;
__u64 ws_tick_ns = 0;
