/* What every kernel-side file starts with. */
#ifndef WIRESPAN_BPF_CORE_KERNEL_H
#define WIRESPAN_BPF_CORE_KERNEL_H

/* Newer bpftool declares kfuncs in vmlinux.h; core/cast.h declares the one we use. */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"

/* A comment between two blocks of includes keeps their order: these use vmlinux.h's types. */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/abi/events.h"
#include "bpf/abi/maps.h"

#define WS_INLINE static __always_inline

#ifndef memset
#define memset(d, c, n) __builtin_memset((d), (c), (n))
#endif

enum {
  WS_AF_UNIX = 1,
  WS_AF_INET = 2,
  WS_AF_INET6 = 10,
  WS_SOCK_STREAM = 1,
  WS_PROTO_TCP = 6,
  WS_S_IFMT = 0170000,
  WS_S_IFSOCK = 0140000,
  WS_MSG_PEEK = 0x2,
  WS_MSG_OOB = 0x1,
  WS_MSG_TRUNC = 0x20,
  WS_MSG_ERRQUEUE = 0x2000,
  WS_SHUTDOWN_MASK = 3,
  WS_SEND_SHUTDOWN = 2,
  WS_ENOENT = 2,
  WS_EINPROGRESS = 115,
  WS_ECONNRESET = 104,
};

#endif
