/* When bytes left that are already gone: the tracepoints on sockets come after the call has done its work, and a sender
 * must never look later than its receiver. TCP itself notes when it transmits (net/ipv4/tcp_rate.c, tcp_output.c),
 * which saves the reading of the clock as well; of Unix sockets both ends are here. */
#ifndef WIRESPAN_BPF_CORE_SENT_H
#define WIRESPAN_BPF_CORE_SENT_H

#include "bpf/core/announce.h"

/* 0: not transmitted yet (Nagle, a cork, a closed window), so that nobody can have received it.
 *
 * first_tx_mstamp is the time (us) at which the first segment in flight was transmitted, or the one acknowledged last.
 * Where all that was sent before this call has been acknowledged, that segment is the call's. Else only the time of the
 * last transmission is left, which a bare acknowledgement moves as well: late by no more than the call took. */
WS_INLINE __u64 ws_tcp_sent_at(struct tcp_sock *tp, __u32 moved, const enum ws_how_to_load how) {
  const __u32 first = WS_LOAD(how, tp, write_seq) - moved;
  if ((__s32)(WS_LOAD(how, tp, snd_nxt) - first) <= 0) return 0;
  const __u64 last = WS_LOAD(how, tp, tcp_wstamp_ns);
  const __u64 us = 1000;
  if ((__s32)(WS_LOAD(how, tp, snd_una) - first) < 0) return last;
  const __u64 sent = WS_LOAD(how, tp, first_tx_mstamp) * us;
  return last - sent < us ? last : sent;
}

/* The receiver may have been faster than this call's return: then it began to read after what this thread did last. */
WS_INLINE __u64 ws_unix_sent_at(const struct ws_sight *sight, __u64 now, const enum ws_how_to_load how) {
  const __u64 peer = (__u64)WS_LOAD_NUMBER(how, (struct unix_sock *)sight->s.sk, peer);
  const struct ws_conn *other = peer ? ws_conn_find(peer) : NULL;
  if (!other || !(other->flags & WS_CONN_UNIX)) return now;
  return other->heard > sight->thread.send_began && other->heard < now ? other->heard : now;
}

/* Not before what the thread did last. What was last told of the connection is no such bound: another thread may have
 * read the answer already. */
WS_INLINE __u64 ws_sent_at(const struct ws_sight *sight, const enum ws_how_to_load how) {
  struct sock *sk = sight->s.sk;
  __u64 at = 0;
  if (WS_LOAD(how, sk, __sk_common.skc_family) == WS_AF_UNIX) {
    at = ws_unix_sent_at(sight, bpf_ktime_get_boot_ns(), how);
  } else {
    at = ws_tcp_sent_at((struct tcp_sock *)sk, sight->moved, how);
    /* A paced segment bears the time at which it is due. */
    if (!at || WS_LOAD(how, sk, sk_pacing_status)) {
      const __u64 now = bpf_ktime_get_boot_ns();
      if (!at || at + ws_boot_offset > now) return now;
    }
    at += ws_boot_offset;
  }
  return at < sight->thread.send_began ? sight->thread.send_began : at;
}

#endif
