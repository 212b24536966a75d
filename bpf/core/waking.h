/* Processes whose wake-ups are told.   key: process (tgid)   set, cleared: the agent */
#ifndef WIRESPAN_BPF_CORE_WAKING_H
#define WIRESPAN_BPF_CORE_WAKING_H

#include "bpf/core/kernel.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, __u8);
} ws_waking_processes __weak SEC(".maps");

#endif
