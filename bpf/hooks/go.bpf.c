/* Uprobes on Go functions that hand work from one goroutine to another. Behind the stack check of a function's entry,
 * never at its return: stacks move. The agent attaches them per executable (capture/go_probes). ABIInternal
 * (Go 1.17): first arguments in RAX, RBX, RCX, RDI, RSI, R8 on amd64, R0 to R5 on arm64; g in R14, R28. */
#include "bpf/core/gate.h"
#include "bpf/core/goroutine.h"
#include "bpf/core/traps.h"

/* The first arguments, and the goroutine. */
struct ws_go_call {
  __u64 arguments[6];
  __u64 g;
};

WS_INLINE struct ws_go_call ws_go_call(struct pt_regs *regs) {
#if defined(__TARGET_ARCH_x86)
  return (struct ws_go_call){
      .arguments = {regs->ax, regs->bx, regs->cx, regs->di, regs->si, regs->r8},
      .g = regs->r14,
  };
#elif defined(__TARGET_ARCH_arm64)
  const __u64 *r = ((struct user_pt_regs *)regs)->regs;
  return (struct ws_go_call){.arguments = {r[0], r[1], r[2], r[3], r[4], r[5]}, .g = r[28]};
#endif
}

WS_INLINE __u64 ws_go_here(struct pt_regs *regs) {
#if defined(__TARGET_ARCH_x86)
  return regs->ip;
#elif defined(__TARGET_ARCH_arm64)
  return ((struct user_pt_regs *)regs)->pc;
#endif
}

/* At a function's entry, where in the program it is called: the return address, on amd64 still on top of the stack, as
 * the probe is in front of the first push. */
WS_INLINE __u64 ws_go_caller(struct pt_regs *regs) {
#if defined(__TARGET_ARCH_x86)
  return ws_user_word(regs->sp);
#elif defined(__TARGET_ARCH_arm64)
  return ((struct user_pt_regs *)regs)->regs[30];
#endif
}

WS_INLINE bool ws_within(const struct ws_go_code *code, __u64 address) {
  return address - code->begin < code->size;
}

/* NULL: not one we know. */
WS_INLINE const struct ws_go_process *ws_go_process(void) {
  const __u32 pid = bpf_get_current_pid_tgid() >> 32;
  return bpf_map_lookup_elem(&ws_go_processes, &pid);
}

/* False: it is no goroutine. */
WS_INLINE bool ws_handover_begin(const struct ws_go_process *go, const struct ws_go_call *call, __u32 role,
                                 struct ws_ev_handover *ev) {
  const __u64 me = bpf_get_current_pid_tgid();
  ev->h.type = WS_EV_HANDOVER;
  ev->h.pid = me >> 32;
  ev->h.time = bpf_ktime_get_boot_ns();
  ev->task = ws_user_word(call->g + go->goid);
  ev->parent_task = go->parent ? ws_user_word(call->g + go->parent) : 0;
  ev->tid = (__u32)me;
  ev->role = role;
  return ev->task != 0;
}

/* Who writes a connection's requests is told once, and holds for later windows. */
WS_INLINE int ws_handover(struct pt_regs *regs, __u32 role) {
  ws_trapped(WS_TRAP_GO);
  if (ws_gate_shut && role != WS_WRITES) return 0;
  const struct ws_go_process *go = ws_go_process();
  const struct ws_go_call call = ws_go_call(regs);
  struct ws_ev_handover ev = {.object = call.arguments[0]};
  if (go && ws_handover_begin(go, &call, role, &ev)) ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("uprobe")
int go_calls(struct pt_regs *regs) {
  return ws_handover(regs, WS_CALLS);
}

SEC("uprobe")
int go_writes(struct pt_regs *regs) {
  return ws_handover(regs, WS_WRITES);
}

/* newproc: who begins others may do nothing else that is seen, and is told for its own parent's sake. */
SEC("uprobe")
int go_begins(struct pt_regs *regs) {
  return ws_handover(regs, WS_BEGINS);
}

enum {
  WS_SUDOG_G = 0,
  WS_SENDX_WITH_TIMER = 48,
  WS_SCASE = 16,     /* size of runtime.scase, which begins with the channel */
  WS_MOST_CASES = 8, /* of a select; of one with more nothing is told */
};

/* The beginning of runtime.hchan, the same in every release. */
struct ws_hchan {
  __u64 queued;
  __u64 capacity;
  __u64 buffer;
  __u16 element_size;
  __u16 _pad;
  __u32 closed;
};

/* The goroutine that waits first in a queue of the channel, struct waitq { first, last *sudog }. */
WS_INLINE __u64 ws_waiting(const struct ws_go_process *go, __u64 queue) {
  const __u64 sudog = ws_user_word(queue);
  return sudog ? ws_user_word(ws_user_word(sudog + WS_SUDOG_G) + go->goid) : 0;
}

WS_INLINE bool ws_read_channel(__u64 channel, struct ws_hchan *head) {
  return bpf_probe_read_user(head, sizeof(*head), (void *)channel) == 0;
}

/* Signals, locks and tokens hand no work over. */
WS_INLINE bool ws_carries_work(const struct ws_hchan *channel) {
  return channel->element_size > 1;
}

/* Whether an operation would not wait now. */
WS_INLINE bool ws_ready(const struct ws_go_process *go, __u64 channel, const struct ws_hchan *head, __u32 role) {
  if (head->closed) return true;
  if (role == WS_SENDS) return head->queued < head->capacity || ws_user_word(channel + go->recvq);
  return head->queued || ws_user_word(channel + go->sendq);
}

/* What tells an element from others under way: its first words, where one of them may be an address. Two that hold the
 * same address are the same, or share something; numbers are anybody's. 0: nothing does. */
__weak __noinline __u64 ws_element(__u64 element, __u32 size) {
  __u64 words[4] = {};
  long failed = 1;
  if (size >= sizeof(words))
    failed = bpf_probe_read_user(words, sizeof(words), (void *)element);
  else if (size >= 2 * sizeof(words[0]))
    failed = bpf_probe_read_user(words, 2 * sizeof(words[0]), (void *)element);
  else if (size >= sizeof(words[0]))
    failed = bpf_probe_read_user(words, sizeof(words[0]), (void *)element);
  if (failed) return 0;
  __u64 sum = 0;
  bool address = false;
  for (int i = 0; i < 4; ++i) {
    address |= words[i] >> 32 && !(words[i] >> 47);
    sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 32;
  }
  return address ? sum : 0;
}

/* `element`: address of what is sent. */
WS_INLINE void ws_tell_channel(const struct ws_go_process *go, struct ws_ev_handover *ev, __u64 channel,
                               const struct ws_hchan *head, __u32 role, __u64 element) {
  ev->object = channel;
  ev->role = role;
  ev->queued = head->queued;
  ev->capacity = head->capacity;
  ev->place = ws_user_word(channel + (role == WS_SENDS ? go->sendx : go->recvx));
  ev->other = ws_waiting(go, channel + (role == WS_SENDS ? go->recvq : go->sendq));
  ev->element = role == WS_SENDS ? ws_element(element, head->element_size) : 0;
  ws_emit(ev, sizeof(*ev));
}

/* Where a channel operation is done, 0: nothing is to be told of it. What libraries do inside (most of a client's
 * operations) hands over what is followed otherwise, or is no work: requests, responses, connections. Where the probe
 * is at the program's own call, that has been looked at before it was attached. */
WS_INLINE __u64 ws_channel_site(const struct ws_go_process *go, struct pt_regs *regs) {
  const __u64 here = ws_go_here(regs);
  if (!ws_within(&go->entries, here)) return here;
  const __u64 site = ws_go_caller(regs);
  for (__u32 i = 0; i < WS_GO_LIBRARIES; ++i)
    if (ws_within(&go->libraries[i], site)) return 0;
  return site;
}

/* The process, where its channels are to be told of now. */
WS_INLINE const struct ws_go_process *ws_channels_of(void) {
  ws_trapped(WS_TRAP_GO);
  return ws_gate_shut || ws_gate_no_wakeups ? NULL : ws_go_process();
}

/* One operation on one channel, of which a sender's second argument is the element; with `tries` it does not wait, and
 * so may do nothing. */
WS_INLINE int ws_channel(struct pt_regs *regs, __u32 argument, __u32 role, bool tries) {
  const struct ws_go_process *go = ws_channels_of();
  const __u64 site = go ? ws_channel_site(go, regs) : 0;
  if (!site) return 0;
  const struct ws_go_call call = ws_go_call(regs);
  const __u64 channel = call.arguments[argument];
  struct ws_hchan head = {};
  if (!ws_read_channel(channel, &head) || !ws_carries_work(&head)) return 0;
  struct ws_ev_handover ev = {.site = site};
  if (!ws_handover_begin(go, &call, WS_ASKS, &ev)) return 0;
  if (!tries || ws_ready(go, channel, &head, role))
    ws_tell_channel(go, &ev, channel, &head, role, call.arguments[1]);
  else if (role == WS_RECEIVES)
    ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("uprobe")
int go_sends(struct pt_regs *regs) {
  return ws_channel(regs, 0, WS_SENDS, false);
}

SEC("uprobe")
int go_receives(struct pt_regs *regs) {
  return ws_channel(regs, 0, WS_RECEIVES, false);
}

/* selectnbsend(channel, element), selectnbrecv(element, channel): a select of one case and a default. */
SEC("uprobe")
int go_tries_to_send(struct pt_regs *regs) {
  return ws_channel(regs, 0, WS_SENDS, true);
}

SEC("uprobe")
int go_tries_to_receive(struct pt_regs *regs) {
  return ws_channel(regs, 1, WS_RECEIVES, true);
}

enum {
  WS_CASE_READY = 1,
  WS_CASE_WORK = 2,  /* its elements may be work */
  WS_CASE_TIMER = 4, /* ready once it is time, which is not looked at (Go 1.23) */
};

WS_INLINE __u32 ws_case_role(__u32 i, __u32 sends) {
  return i < sends ? WS_SENDS : WS_RECEIVES; /* the order in which the compiler puts them */
}

/* Bits of one case, runtime.scase. Verified by itself: else the verifier would follow every combination of cases. */
__weak __noinline int ws_look_at_case(__u32 pid, __u64 scase, __u32 role) {
  const struct ws_go_process *go = bpf_map_lookup_elem(&ws_go_processes, &pid);
  const __u64 channel = ws_user_word(scase);
  struct ws_hchan head = {};
  if (!go || !channel || !ws_read_channel(channel, &head)) return 0; /* a nil channel is never ready */
  /* struct hchan has the timer where the next field was before. */
  if (go->sendx == WS_SENDX_WITH_TIMER && ws_user_word(channel + sizeof(head))) return WS_CASE_TIMER;
  return (ws_ready(go, channel, &head, role) ? WS_CASE_READY : 0) | (ws_carries_work(&head) ? WS_CASE_WORK : 0);
}

/* selectgo(cases, order, pc, sends, receives, block). With one case ready that is the one; with none it waits for all,
 * and each is told as an operation of its own; with several the runtime draws lots behind this probe, and those that
 * are ready are told. */
SEC("uprobe")
int go_selects(struct pt_regs *regs) {
  const struct ws_go_process *go = ws_channels_of();
  const __u64 site = go ? ws_channel_site(go, regs) : 0;
  if (!site) return 0;
  const struct ws_go_call call = ws_go_call(regs);
  const __u64 cases = call.arguments[0];
  const __u32 sends = call.arguments[3];
  const __u32 count = sends + call.arguments[4];
  const bool waits = call.arguments[5] & 1;
  struct ws_ev_handover ev = {.site = site};
  if (!ws_handover_begin(go, &call, WS_ASKS, &ev)) return 0;
  __u32 ready = 0; /* a bit a case */
  __u32 work = 0;
  __u32 timers = 0;
  for (__u32 i = 0; i < WS_MOST_CASES; ++i) {
    if (i >= count) break;
    const __u32 bits = ws_look_at_case(ev.h.pid, cases + i * WS_SCASE, ws_case_role(i, sends));
    ready |= (bits & 1) << i;
    work |= (bits >> 1 & 1) << i;
    timers |= bits >> 2 & 1;
  }
  if (!work) return 0;
  /* A sender's timer begins with its select. */
  const bool receives = ready >> (sends & (WS_MOST_CASES - 1));
  const bool drawn = ready & (ready - 1) || (receives && timers);
  const __u32 told = count > WS_MOST_CASES ? 0 : ready ? ready & work : waits ? work : 0;
  if (!told) return ws_emit(&ev, sizeof(ev)), 0;
  ev.select_case = drawn ? WS_FIRST_DRAWN : WS_FIRST_CASE;
  for (__u32 i = 0; i < WS_MOST_CASES; ++i) {
    if (!(told >> i & 1)) continue;
    const __u64 channel = ws_user_word(cases + i * WS_SCASE);
    struct ws_hchan head = {};
    if (!ws_read_channel(channel, &head)) continue;
    const __u64 element = ws_user_word(cases + i * WS_SCASE + sizeof(channel));
    ws_tell_channel(go, &ev, channel, &head, ws_case_role(i, sends), element);
    ev.select_case = drawn ? WS_ANOTHER_DRAWN : WS_ANOTHER_CASE;
  }
  return 0;
}
