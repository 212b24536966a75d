/* Copying the first bytes of a call, and its very last, from the process's memory. */
#ifndef WIRESPAN_BPF_CORE_PAYLOAD_H
#define WIRESPAN_BPF_CORE_PAYLOAD_H

#include "bpf/core/scratch.h"
#include "bpf/core/stats.h"

/* The memory of one call: one buffer, or a vector of them. */
struct ws_memory {
  __u64 base;     /* user address of the buffer, or of the struct iovec array; 0: none (sendfile, splice) */
  __u32 segments; /* 0: `base` is the buffer */
};

/* asm pins the value to one register, so that the bound tested is the one the verifier keeps. */
#define WS_CLAMP(n, max)          \
  ({                              \
    asm volatile("" : "+r"(n));   \
    if ((n) > (max)) (n) = (max); \
    (n);                          \
  })

WS_INLINE __u32 ws_copy(struct ws_scratch *scratch, __u64 at, __u64 from, __u64 size) {
  WS_CLAMP(at, WS_CALL_CAPTURE_MAX);
  WS_CLAMP(size, WS_CALL_CAPTURE_MAX);
  if (bpf_probe_read_user(scratch->bytes + at, size, (void *)from) == 0) return size;
  ws_count(WS_STAT_USER_FAULT);
  return 0;
}

WS_INLINE void ws_copy_tail(struct ws_ev_data *ev, __u64 end, __u64 within) {
  WS_CLAMP(within, WS_TAIL_BYTES);
  if (within && bpf_probe_read_user(ev->tail, within, (void *)(end - within)) == 0) ev->tail_size = within;
}

/* Copies the first `want` of the `moved` bytes, sets captured and, when that was not all, the tail. */
WS_INLINE void ws_copy_buffer(struct ws_scratch *scratch, __u64 base, __u32 moved, __u32 want) {
  scratch->data.captured = want ? ws_copy(scratch, 0, base, want) : 0;
  if (scratch->data.captured < moved) ws_copy_tail(&scratch->data, base + moved, moved);
}

enum { WS_SEGMENT_BITS = 3 };

/* One segment of the vector in the scratch of a user (ws_scratch). Global, so that the verifier looks at it once,
 * whatever the caller knows; what it works on lies in memory, where the verifier does not follow values. 0: go on. */
__weak __noinline int ws_copy_segment(__u32 user_and_index) {
  struct ws_scratch *scratch = ws_scratch(user_and_index >> WS_SEGMENT_BITS);
  const __u32 index = user_and_index & (WS_SEGMENTS - 1);
  if (!scratch) return 1;
  struct ws_walk *walk = &scratch->walk;
  const __u64 base = (__u64)walk->segments[index].iov_base;
  __u64 size = walk->segments[index].iov_len;
  if (size > walk->left) size = walk->left;
  walk->left -= size;
  walk->last = size;
  walk->end = base + size;
  const __u64 part = size < walk->want ? size : walk->want;
  if (!part) return walk->left == 0;
  /* Nothing after a failed copy: it would be misplaced. */
  const bool copied = ws_copy(scratch, scratch->data.captured, base, part) == part;
  walk->want = copied ? walk->want - part : 0;
  if (copied) scratch->data.captured += part;
  return walk->left == 0;
}

/* A read of user memory costs 90 ns whatever its size: the vector is read at once. */
WS_INLINE void ws_copy_vector(struct ws_scratch *scratch, __u32 user, const struct ws_memory *memory, __u32 moved,
                              __u32 want) {
  __u64 segments = memory->segments; /* 64 bits: 5.10 loses the bound of a 32-bit value in the product */
  scratch->data.captured = 0;
  scratch->walk.left = moved;
  scratch->walk.want = want;
  WS_CLAMP(segments, WS_SEGMENTS);
  if (bpf_probe_read_user(scratch->walk.segments, segments * sizeof(struct iovec), (void *)memory->base)) {
    ws_count(WS_STAT_USER_FAULT);
    return;
  }
  for (__u64 i = 0; i < WS_SEGMENTS && i < segments; i++) {
    if (ws_copy_segment((user & 1) << WS_SEGMENT_BITS | i)) break;
  }
  if (scratch->data.captured < moved && !scratch->walk.left)
    ws_copy_tail(&scratch->data, scratch->walk.end, scratch->walk.last);
}

#endif
