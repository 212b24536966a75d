/* A system call as the process made it, decoded from its registers: which buffers it named. */
#ifndef WIRESPAN_BPF_CORE_CALL_H
#define WIRESPAN_BPF_CORE_CALL_H

#include "bpf/core/config.h"
#include "bpf/core/load.h"
#include "bpf/core/payload.h"
#include "bpf/core/registers.h"

/* Arguments as the process passed them: pt_regs holds them until the call has returned. */
struct ws_call {
  __u64 arg[4];
  long result;
  __u8 op;
};

WS_INLINE void ws_read_call(struct pt_regs *regs, struct ws_call *call, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  call->arg[0] = WS_LOAD(how, regs, di);
  call->arg[1] = WS_LOAD(how, regs, si);
  call->arg[2] = WS_LOAD(how, regs, dx);
  call->arg[3] = WS_LOAD(how, regs, r10);
#elif defined(__TARGET_ARCH_arm64)
  struct user_pt_regs *user = (struct user_pt_regs *)regs;
  struct pt_regs___orig {
    __u64 orig_x0;
  } __attribute__((preserve_access_index)) *orig = (void *)regs;
  call->arg[0] = BPF_CORE_READ(orig, orig_x0);
  call->arg[1] = BPF_CORE_READ(user, regs[1]);
  call->arg[2] = BPF_CORE_READ(user, regs[2]);
  call->arg[3] = BPF_CORE_READ(user, regs[3]);
#else
#error "name the registers of this architecture's system calls"
#endif
}

/* The number means another call in a 32-bit process. */
WS_INLINE bool ws_is_compat(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return (__u16)WS_LOAD(how, regs, cs) == ws_compat_cs;
#else
  return false;
#endif
}

/* Bytes a recvmmsg or sendmmsg moved. Streams use them for one or two messages. */
static __noinline __u32 ws_mmsg_bytes(__u64 messages, __u32 count) {
  __u32 sum = 0;
  for (__u32 i = 0; i < WS_SEGMENTS && i < count; i++) {
    __u32 size = 0;
    bpf_probe_read_user(&size, sizeof(size), &((struct mmsghdr *)messages)[i].msg_len);
    sum += size;
  }
  return sum;
}

WS_INLINE void ws_memory_of_message(__u64 message, struct ws_memory *memory) {
  struct user_msghdr header;
  if (bpf_probe_read_user(&header, sizeof(header), (void *)message)) return;
  memory->base = (__u64)header.msg_iov;
  memory->segments = header.msg_iovlen;
}

WS_INLINE __u64 ws_receive_flags(const struct ws_call *call) {
  if (call->op == WS_OP_RECVFROM || call->op == WS_OP_RECVMMSG) return call->arg[3];
  return call->op == WS_OP_RECVMSG ? call->arg[2] : 0;
}

/* Urgent and peeked bytes, and messages about errors, are none of the stream's. */
WS_INLINE bool ws_of_stream(__u64 flags) {
  return !(flags & (WS_MSG_PEEK | WS_MSG_OOB | WS_MSG_ERRQUEUE));
}

/* From or to where the call moved bytes; of sendmmsg and recvmmsg the first message. Nothing for sendfile and splice,
 * nor where MSG_TRUNC made TCP discard. */
WS_INLINE void ws_memory_of(const struct ws_call *call, __u64 flags, struct ws_memory *memory) {
  if (flags & WS_MSG_TRUNC) return;
  switch (call->op) {
    case WS_OP_READ:
    case WS_OP_WRITE: /* sendto as well */
    case WS_OP_RECVFROM:
      memory->base = call->arg[1];
      break;
    case WS_OP_READV:
    case WS_OP_WRITEV:
      memory->base = call->arg[1];
      memory->segments = call->arg[2];
      break;
    case WS_OP_RECVMSG:
    case WS_OP_SENDMSG:
    case WS_OP_RECVMMSG:
    case WS_OP_SENDMMSG:
      ws_memory_of_message(call->arg[1], memory);
      break;
    default:
      break;
  }
}

/* What the call moved, when it has returned. False: nothing that belongs to the stream. */
WS_INLINE bool ws_moved(const struct ws_call *call, struct ws_memory *memory, __u32 *moved) {
  const __u64 flags = ws_receive_flags(call);
  *moved = call->result;
  if (!ws_of_stream(flags)) return false;
  ws_memory_of(call, flags, memory);
  if (call->op == WS_OP_RECVMMSG || call->op == WS_OP_SENDMMSG) *moved = ws_mmsg_bytes(call->arg[1], call->result);
  return *moved != 0;
}

#endif
