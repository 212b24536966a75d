/* Names and inode numbers of a Unix socket and its peer: user space makes the identity of the pair of them. */
#ifndef WIRESPAN_BPF_CORE_UNIX_H
#define WIRESPAN_BPF_CORE_UNIX_H

#include "bpf/core/load.h"

WS_INLINE __u8 ws_unix_name(struct unix_sock *u, __u8 *to, const enum ws_how_to_load how) {
  struct unix_address *address = WS_LOAD(how, u, addr);
  if (!address) return 0;
  const int family = sizeof(__kernel_sa_family_t);
  int size = WS_LOAD(how, address, len) - family;
  if (size <= 0) return 0;
  if (size > WS_UNIX_PATH) size = WS_UNIX_PATH;
  bpf_probe_read_kernel(to, WS_UNIX_PATH, (__u8 *)address + bpf_core_field_offset(struct unix_address, name) + family);
  return size;
}

WS_INLINE void ws_unix_describe(struct sock *sk, struct ws_ev_opened *ev, const enum ws_how_to_load how) {
  struct unix_sock *u = (struct unix_sock *)sk;
  ev->local_path_size = ws_unix_name(u, ev->local_path, how);
  struct sock *peer = WS_LOAD(how, u, peer);
  if (!peer) return;
  ev->remote_path_size = ws_unix_name((struct unix_sock *)peer, ev->remote_path, how);
  struct socket_alloc *peer_socket = (struct socket_alloc *)WS_LOAD(how, peer, sk_socket);
  /* Not yet accepted, or closed already. */
  if (peer_socket) ev->peer_inode = WS_LOAD(how, peer_socket, vfs_inode.i_ino);
}

#endif
