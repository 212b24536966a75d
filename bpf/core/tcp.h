/* What struct tcp_sock says about where its streams began and where they are. */
#ifndef WIRESPAN_BPF_CORE_TCP_H
#define WIRESPAN_BPF_CORE_TCP_H

#include "bpf/core/load.h"

struct ws_tcp_bases {
  __u32 base[2];     /* sequence number of the first payload byte */
  __u64 position[2]; /* payload bytes read and written by the application */
  __u8 side;
  bool guessed; /* the side is not certain */
  bool known;
};

enum { WS_TCP_ESTABLISHED = 1, WS_TCP_SYN_SENT = 2, WS_TCP_SYN_RECV = 3, WS_TCP_CLOSE = 7 };

/* The FIN takes a sequence number, and the read that comes to it steps over it. SOCK_DONE: a FIN was received. */
WS_INLINE bool ws_tcp_read_past_fin(struct tcp_sock *tp, const enum ws_how_to_load how) {
  struct sock *sk = (struct sock *)tp;
  const __u64 flags = WS_LOAD(how, sk, __sk_common.skc_flags);
  return flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1 &&
         WS_LOAD(how, tp, copied_seq) == WS_LOAD(how, tp, rcv_nxt);
}

/* The softirq that changes each pair may be running on another CPU: read until two readings agree. Spelled out: clang
 * closes a loop here by falling through to its head, which 5.10 takes for an endless one. */
WS_INLINE bool ws_tcp_pairs_once(struct tcp_sock *tp, __u32 *una, __u64 *acked, __u32 *nxt, __u64 *received,
                                 const enum ws_how_to_load how) {
  *una = WS_LOAD(how, tp, snd_una);
  *acked = WS_LOAD(how, tp, bytes_acked);
  *nxt = WS_LOAD(how, tp, rcv_nxt);
  *received = WS_LOAD(how, tp, bytes_received);
  return *una == WS_LOAD(how, tp, snd_una) && *acked == WS_LOAD(how, tp, bytes_acked) &&
         *nxt == WS_LOAD(how, tp, rcv_nxt) && *received == WS_LOAD(how, tp, bytes_received);
}
WS_INLINE void ws_tcp_pairs(struct tcp_sock *tp, __u32 *una, __u64 *acked, __u32 *nxt, __u64 *received,
                            const enum ws_how_to_load how) {
  if (ws_tcp_pairs_once(tp, una, acked, nxt, received, how)) return;
  if (ws_tcp_pairs_once(tp, una, acked, nxt, received, how)) return;
  ws_tcp_pairs_once(tp, una, acked, nxt, received, how);
}

/* bytes_acked counts the SYN of the side that sent it first, bytes_sent - bytes_retrans counts payload only: what lies
 * between the two beginnings they give is the side. */
WS_INLINE void ws_tcp_find_side(struct tcp_sock *tp, __u32 acked_base, struct ws_tcp_bases *out,
                                const enum ws_how_to_load how) {
  struct sock *sk = (struct sock *)tp;
  const __u32 next = WS_LOAD(how, tp, snd_nxt);
  __u32 base = next - (__u32)(WS_LOAD(how, tp, bytes_sent) - WS_LOAD(how, tp, bytes_retrans));
  /* Our FIN has a sequence number as well. */
  if (WS_LOAD(how, sk, sk_shutdown) & WS_SEND_SHUTDOWN && next == WS_LOAD(how, tp, write_seq)) base--;
  const __u32 syn = base - acked_base;
  out->guessed = syn > 1;
  out->side = syn == 1 ? WS_SIDE_ACTIVE : WS_SIDE_PASSIVE;
}

/* side: as seen at accept or connect, else WS_SIDE_UNKNOWN and found here. */
WS_INLINE void ws_tcp_bases(struct sock *sk, __u8 side, struct ws_tcp_bases *out, const enum ws_how_to_load how) {
  struct tcp_sock *tp = (struct tcp_sock *)sk;
  const __u8 state = WS_LOAD(how, sk, __sk_common.skc_state);
  __u32 una = 0, nxt = 0;
  __u64 acked = 0, received = 0;

  out->side = side;
  out->guessed = false;
  /* Closed: about to be made, as hooks/connect sees it before the state changes. */
  out->known = state != WS_TCP_SYN_SENT && state != WS_TCP_SYN_RECV && state != WS_TCP_CLOSE;
  if (!out->known) return;
  ws_tcp_pairs(tp, &una, &acked, &nxt, &received, how);
  if (side == WS_SIDE_UNKNOWN) ws_tcp_find_side(tp, una - (__u32)acked, out, how);
  const __u32 syn = out->side == WS_SIDE_ACTIVE;
  out->base[WS_SENT] = una - (__u32)acked + syn;
  out->base[WS_RECEIVED] = nxt - (__u32)received;
  out->position[WS_SENT] = acked - syn + (__u32)(WS_LOAD(how, tp, write_seq) - una);
  out->position[WS_RECEIVED] = received - (__u32)(nxt - WS_LOAD(how, tp, copied_seq));
  if (ws_tcp_read_past_fin(tp, how)) out->position[WS_RECEIVED]--;
}

#endif
