/* Ends of TCP connections, whoever closes and however: state changes in close() and by RST, and the destruction of the
 * socket for whatever those do not tell (a close after the peer's FIN came during half-close). */
#include "bpf/core/conns.h"
#include "bpf/core/load.h"
#include "bpf/core/tcp.h"

enum {
  WS_TCP_FIN_WAIT1 = 4,
  WS_TCP_FIN_WAIT2 = 5,
  WS_TCP_LAST_ACK = 9,
  WS_TCP_CLOSING = 11,
};

WS_INLINE int ws_on_state(struct sock *sk, int old, int new, const enum ws_how_to_load how) {
  if (new != WS_TCP_FIN_WAIT1 &&new != WS_TCP_FIN_WAIT2 &&new != WS_TCP_LAST_ACK &&new != WS_TCP_CLOSE) return 0;
  const __u64 sock = ws_number_of(sk);
  struct ws_conn *conn = ws_conn_find(sock);
  if (!conn) return 0;
  if (new == WS_TCP_CLOSE && WS_LOAD(how, sk, sk_err)) {
    ws_conn_close(sock, conn, WS_RESET);
    return 0;
  }
  /* shutdown(SHUT_WR) sets one half of the mask, close() both before it changes the state. The peer's FIN sets the
   * other half: after a half-close that looks alike, but the process may still read. */
  const bool peer_finished_half_close = new == WS_TCP_CLOSE && (old == WS_TCP_FIN_WAIT2 || old == WS_TCP_CLOSING);
  if (WS_LOAD(how, sk, sk_shutdown) == WS_SHUTDOWN_MASK && !peer_finished_half_close)
    ws_conn_close(sock, conn, WS_CLOSED);
  return 0;
}

WS_INLINE int ws_on_destroy(struct sock *sk) {
  const __u64 sock = ws_number_of(sk);
  struct ws_conn *conn = ws_conn_find(sock);
  if (conn) ws_conn_close(sock, conn, WS_CLOSED);
  return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state__tp_btf, struct sock *sk, int old, int new) {
  return ws_on_state(sk, old, new, WS_TYPED);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state__raw_tp, struct sock *sk, int old, int new) {
  return ws_on_state(sk, old, new, WS_PROBE);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy__tp_btf, struct sock *sk) {
  return ws_on_destroy(sk);
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy__raw_tp, struct sock *sk) {
  return ws_on_destroy(sk);
}
