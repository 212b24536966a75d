/* bpf_rdonly_cast (6.2): a typed pointer out of a number. The verifier makes it a move. */
#ifndef WIRESPAN_BPF_CORE_CAST_H
#define WIRESPAN_BPF_CORE_CAST_H

#include "bpf/core/kernel.h"

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define WS_CAST_POINTER(p) ((typeof(p))bpf_rdonly_cast((p), bpf_core_type_id_kernel(typeof(*(p)))))

#endif
