/* Which system call runs, how long an event loop's one means to wait, and which thread: by the registers. */
#ifndef WIRESPAN_BPF_CORE_REGISTERS_H
#define WIRESPAN_BPF_CORE_REGISTERS_H

#include "bpf/core/load.h"

enum { ws_epoll_pwait2 = 441 }; /* on every architecture */

WS_INLINE __u64 ws_call_number(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return WS_LOAD(how, regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
  struct pt_regs___nr {
    __s32 syscallno;
  } __attribute__((preserve_access_index)) *nr = (void *)regs;
  return BPF_CORE_READ(nr, syscallno);
#endif
}

/* Of epoll_wait and epoll_pwait, in milliseconds. epoll_pwait2 takes a timespec: not read, as if it were 0. */
WS_INLINE __s32 ws_timeout(struct pt_regs *regs, long number, const enum ws_how_to_load how) {
  if (number == ws_epoll_pwait2) return 0;
#if defined(__TARGET_ARCH_x86)
  return WS_LOAD(how, regs, r10);
#elif defined(__TARGET_ARCH_arm64)
  struct user_pt_regs *user = (struct user_pt_regs *)regs;
  return BPF_CORE_READ(user, regs[3]);
#endif
}

/* Of the calling thread; 0: not to be told. */
WS_INLINE __u64 ws_thread_pointer(void) {
#if defined(__TARGET_ARCH_x86)
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return BPF_CORE_READ(task, thread.fsbase);
#else
  return 0;
#endif
}

#endif
