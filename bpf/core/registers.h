/* The registers of the system call the current thread is in: where they are, which call it is, how long an event
 * loop's one means to wait; and which thread it is. */
#ifndef WIRESPAN_BPF_CORE_REGISTERS_H
#define WIRESPAN_BPF_CORE_REGISTERS_H

#include "bpf/core/load.h"

enum { ws_epoll_pwait2 = 441 }; /* on every architecture */

/* bpf_task_pt_regs: 5.15. Before, they lie where they do on every 64-bit architecture: at the top of the kernel stack.
 */
WS_INLINE struct pt_regs *ws_registers_on(__u64 stack) {
  const __u64 stack_bytes = 16 << 10; /* THREAD_SIZE of x86-64 and, with pages of 4 KiB, arm64, but for KASAN's */
  return (struct pt_regs *)(stack + stack_bytes - bpf_core_type_size(struct pt_regs));
}
WS_INLINE struct pt_regs *ws_registers_of_call(void) {
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
    return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  return ws_registers_on((__u64)WS_LOAD(WS_PROBE, task, stack));
}

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

/* The same of a thread that sleeps: what it was called with is still there. */
WS_INLINE struct pt_regs *ws_registers_of_sleeper(struct task_struct *task, const enum ws_how_to_load how) {
  if (how == WS_TYPED && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
    return (struct pt_regs *)bpf_task_pt_regs(task);
  return ws_registers_on((__u64)WS_LOAD(how, task, stack));
}

/* A call's first argument, and the program's stack pointer. */
WS_INLINE __u64 ws_call_argument(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return WS_LOAD(how, regs, di);
#elif defined(__TARGET_ARCH_arm64)
  return BPF_CORE_READ((struct user_pt_regs *)regs, regs[0]);
#endif
}
WS_INLINE __u64 ws_stack_pointer(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return WS_LOAD(how, regs, sp);
#elif defined(__TARGET_ARCH_arm64)
  return BPF_CORE_READ((struct user_pt_regs *)regs, sp);
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
