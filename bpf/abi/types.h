/* Fixed-width types and layout checks for what the kernel side and the agent share. */
#ifndef WIRESPAN_BPF_ABI_TYPES_H
#define WIRESPAN_BPF_ABI_TYPES_H

#ifndef __VMLINUX_H__ /* BPF objects take these from vmlinux.h */
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define WS_ABI_ASSERT(condition, what) static_assert(condition, what)
#else
#define WS_ABI_ASSERT(condition, what) _Static_assert(condition, what)
#endif

#endif
