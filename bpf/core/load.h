/* Reading kernel memory, three ways behind one macro. Every body takes `how` as a compile-time constant.
 *
 * WS_TYPED: the pointer came typed from a tp_btf argument, the verifier checks the load, one instruction.
 * WS_CAST: a scalar is cast to a typed pointer (core/cast.h, kernel 6.2+), then the same; about 1 ns.
 * WS_PROBE: bpf_probe_read_kernel, any kernel; about 10 ns. */
#ifndef WIRESPAN_BPF_CORE_LOAD_H
#define WIRESPAN_BPF_CORE_LOAD_H

#include "bpf/core/kernel.h"

enum ws_how_to_load { WS_PROBE, WS_TYPED, WS_CAST };

/* Only hooks/io casts: it includes core/cast.h first. The static linker of libbpf 1.1 cannot join the declaration of
 * the kfunc from several objects. */
#ifndef WS_CAST_POINTER
#define WS_CAST_POINTER(p) (p)
#endif

/* The pointer is copied first: CO-RE would otherwise relocate how we came by it as well. */
#define WS_LOAD(how, p, field)                                                \
  ({                                                                          \
    typeof(p) ws_from_ = (p);                                                 \
    typeof(ws_from_->field) ws_value_;                                        \
    if ((how) == WS_CAST)                                                     \
      ws_value_ = WS_CAST_POINTER(ws_from_)->field;                           \
    else if ((how) == WS_TYPED)                                               \
      ws_value_ = ws_from_->field;                                            \
    else                                                                      \
      bpf_core_read((void *)&ws_value_, sizeof(ws_value_), &ws_from_->field); \
    ws_value_;                                                                \
  })

/* A pointer field as a plain number, which one may reckon with: the verifier forbids that with typed pointers.
 * timespec64 is a struct that begins with 64 bits. */
#define WS_LOAD_NUMBER(how, p, field) \
  ((__u64)WS_LOAD(how, (struct timespec64 *)((__u64)(p) + bpf_core_field_offset(typeof(*(p)), field)), tv_sec))

/* The same for a typed pointer itself: a helper reads it back untyped. */
WS_INLINE __u64 ws_number_of(const void *typed) {
  __u64 number = 0;
  bpf_probe_read_kernel(&number, sizeof(number), &typed);
  return number;
}

/* The pointer stored at an address. Casts need a struct: hlist_head is one that is a single pointer. */
#define WS_LOAD_POINTER(how, address) ((void *)WS_LOAD(how, (struct hlist_head *)(address), first))

/* Of the running program's own memory; 0 where there is nothing. */
WS_INLINE __u64 ws_user_word(__u64 address) {
  __u64 word = 0;
  bpf_probe_read_user(&word, sizeof(word), (void *)address);
  return word;
}

#endif
