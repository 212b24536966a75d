/* Which of its runtime's own tasks a thread runs: a goroutine, a Python context, a virtual thread of Java. */
#ifndef WIRESPAN_BPF_CORE_TASK_H
#define WIRESPAN_BPF_CORE_TASK_H

#include "bpf/core/goroutine.h"
#include "bpf/core/java.h"
#include "bpf/core/python.h"

static __noinline __attribute__((unused)) int ws_runtime_ask(struct ws_thread *thread, __u32 pid) {
  if (!thread) return 0;
  thread->runtime_epoch = ws_runtime_epoch;
  thread->runtime = bpf_map_lookup_elem(&ws_python_processes, &pid) ? WS_RUNTIME_PYTHON
                    : bpf_map_lookup_elem(&ws_java_processes, &pid) ? WS_RUNTIME_JAVA
                                                                    : WS_RUNTIME_NONE;
  thread->state_searches = thread->state_at = 0;
  return ws_go_ask(thread, pid);
}

/* Sets the task the calling thread runs. 0.2 us in a Go, Python or Java process, a comparison in others. */
WS_INLINE void ws_set_task(struct ws_thread *thread, __u32 pid, struct task_struct *task, struct pt_regs *regs,
                           __u32 direction, const enum ws_how_to_load how) {
  const int m = thread->runtime_epoch != ws_runtime_epoch ? ws_runtime_ask(thread, pid) : 0;
  if (thread->go_g) ws_set_goroutine(thread, m, task, regs, how);
#if defined(__TARGET_ARCH_x86) /* elsewhere the thread pointer does not name the thread (struct pthread lies below) */
  if (thread->runtime == WS_RUNTIME_PYTHON)
    ws_set_context(thread, pid, WS_LOAD(how, task, thread.fsbase), direction);
  else if (thread->runtime == WS_RUNTIME_JAVA)
    ws_set_virtual_thread(thread, pid, WS_LOAD(how, task, thread.fsbase));
#endif
}

#endif
