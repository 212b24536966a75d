#include "agent/capture/syscalls.h"

#include <sys/syscall.h>

namespace wirespan {
namespace {

struct Row {
  long number;
  ws_op op;
};

constexpr Row kRows[] = {
    {SYS_read, WS_OP_READ},
    {SYS_readv, WS_OP_READV},
    {SYS_preadv2, WS_OP_READV},
    {SYS_recvfrom, WS_OP_RECVFROM},
    {SYS_recvmsg, WS_OP_RECVMSG},
    {SYS_recvmmsg, WS_OP_RECVMMSG},
    {SYS_write, WS_OP_WRITE},
    {SYS_sendto, WS_OP_WRITE},
    {SYS_writev, WS_OP_WRITEV},
    {SYS_pwritev2, WS_OP_WRITEV},
    {SYS_sendmsg, WS_OP_SENDMSG},
    {SYS_sendmmsg, WS_OP_SENDMMSG},
    {SYS_sendfile, WS_OP_SENDFILE},
    {SYS_splice, WS_OP_SPLICE},
    {SYS_accept, WS_OP_ACCEPT},
    {SYS_accept4, WS_OP_ACCEPT},
    {SYS_connect, WS_OP_CONNECT},
    {SYS_socketpair, WS_OP_SOCKETPAIR},
    {SYS_listen, WS_OP_LISTEN},
    {SYS_close, WS_OP_CLOSE},
#ifdef SYS_epoll_wait  // not on arm64
    {SYS_epoll_wait, WS_OP_WAIT},
#endif
    {SYS_epoll_pwait, WS_OP_WAIT},
    {SYS_epoll_pwait2, WS_OP_WAIT},
    // A ring's own threads bear the registers of the call that made them.
    {SYS_io_uring_setup, WS_OP_RING},
    {SYS_io_uring_enter, WS_OP_RING},
    {SYS_io_submit, WS_OP_RING},
};

}  // namespace

std::array<std::uint8_t, WS_SYSCALLS> syscall_classes() {
  std::array<std::uint8_t, WS_SYSCALLS> table{};
  for (const Row& row : kRows) table.at(static_cast<std::size_t>(row.number)) = row.op;
  return table;
}

}  // namespace wirespan
