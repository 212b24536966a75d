/* From a descriptor of the current task to the socket behind it. */
#ifndef WIRESPAN_BPF_CORE_FD_H
#define WIRESPAN_BPF_CORE_FD_H

#include "bpf/core/load.h"

struct ws_socket {
  struct sock *sk;
  __u32 inode;
};

WS_INLINE bool ws_socket_of_file(struct file *file, struct ws_socket *out, const enum ws_how_to_load how) {
  struct inode *inode = WS_LOAD(how, file, f_inode);
  if (!inode || (WS_LOAD(how, inode, i_mode) & WS_S_IFMT) != WS_S_IFSOCK) return false;
  struct socket *sock = WS_LOAD(how, file, private_data);
  if (!sock) return false; /* O_PATH */
  out->sk = (struct sock *)WS_LOAD_NUMBER(how, sock, sk);
  out->inode = (__u32)WS_LOAD(how, inode, i_ino);
  return out->sk;
}

WS_INLINE struct file *ws_file_of_fd(struct task_struct *task, __u64 fd, const enum ws_how_to_load how) {
  struct files_struct *files = WS_LOAD(how, task, files);
  if (!files) return NULL;
  struct fdtable *table = WS_LOAD(how, files, fdt);
  if ((__u32)fd >= WS_LOAD(how, table, max_fds)) return NULL;
  struct file **slots = WS_LOAD(how, table, fd);
  /* The table may be replaced and the file freed under us; what is read then fails the checks on the inode. */
  return WS_LOAD_POINTER(how, slots + (__u32)fd);
}

WS_INLINE bool ws_socket_of_fd(struct task_struct *task, __u64 fd, struct ws_socket *out,
                               const enum ws_how_to_load how) {
  struct file *file = ws_file_of_fd(task, fd, how);
  return file && ws_socket_of_file(file, out, how);
}

#endif
