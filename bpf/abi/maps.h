/* Values of the maps both sides touch, and what user space asks of the kernel side. */
#ifndef WIRESPAN_BPF_ABI_MAPS_H
#define WIRESPAN_BPF_ABI_MAPS_H

#include "bpf/abi/events.h"

/* What a system call means to us; the agent fills the table syscall number -> class (capture/syscalls.cc).
 * Order matters: up to WS_OP_LAST_MOVING a call that returned <= 0 is of no interest. */
enum ws_op {
  WS_OP_NONE = 0,
  /* receive */
  WS_OP_READ,
  WS_OP_READV,
  WS_OP_RECVFROM,
  WS_OP_RECVMSG,
  WS_OP_RECVMMSG,
  /* send */
  WS_OP_WRITE,
  WS_OP_WRITEV,
  WS_OP_SENDMSG,
  WS_OP_SENDMMSG,
  WS_OP_SENDFILE,
  WS_OP_SPLICE,
  WS_OP_LAST_MOVING = WS_OP_SPLICE,
  /* others */
  WS_OP_ACCEPT,
  WS_OP_CONNECT,
  WS_OP_SOCKETPAIR,
  WS_OP_LISTEN,
  WS_OP_WAIT, /* epoll_wait and its like */
  WS_OP_CLOSE,
  WS_OP_RING, /* io_uring and libaio: what they move is not in the call's arguments */
};

enum { WS_SYSCALLS = 512 };

enum ws_verdict { WS_FIRST_BYTES = 0, WS_MORE = 1, WS_IGNORE = 2 };

enum ws_conn_flags {
  WS_CONN_FRESH = 1,     /* seen from its start */
  WS_CONN_ANNOUNCED = 2, /* told to user space */
  WS_CONN_BASED = 4,     /* positions are those of the connection, not of what we saw of it */
  WS_CONN_UNIX = 8,
};

/* One end of a connection. In the hash map it fits, with htab_elem and the allocator's link, into a kmalloc-192 object:
 * 100,000 idle connections cost 20 MB. */
struct ws_conn {
  __u64 id; /* low half: the socket's inode number, which tells a reused struct sock */
  __u64 position[2];
  union {
    __u32 base[2]; /* TCP */
    __u64 heard;   /* Unix: when the last turn of receiving began */
  };
  __u64 told; /* time of the last record of this turn */
  __u64 turn; /* time the turn began */
  __u32 left; /* bytes still to copy in this turn */
  __u32 capture;
  __u32 pending; /* bytes moved since the last record of this turn; what follows is of the last call among them */
  __u8 direction;
  __u8 verdict;
  __u8 flags;
  __u8 side;
  __u64 pending_time;
  __u64 task;
  __u32 tid;
  __u32 loop;
  __u8 tail[WS_TAIL_BYTES];
  __u8 tail_size;
  __u8 _pad[3];
  __u32 pid; /* who used it last */
  __u64 opened;
};
WS_ABI_ASSERT(sizeof(struct ws_conn) == 120, "ws_conn");

/* Most connections live in the slot their struct sock picks, found by a load; the others in the hash map. */
struct ws_conn_slot {
  __u64 sock; /* 0: free; 1: being filled */
  struct ws_conn conn;
};
WS_ABI_ASSERT(sizeof(struct ws_conn_slot) == 128, "ws_conn_slot");

enum ws_target_flags {
  WS_TARGET_EXCLUDED = 1, /* the agent itself and its helpers: never traced, not even with --all */
};

struct ws_target {
  __u32 capture; /* first bytes of each turn to copy */
  __u32 flags;
};
WS_ABI_ASSERT(sizeof(struct ws_target) == 8, "ws_target");

/* Whose threads are asked, besides Go's, what task they run. */
enum ws_runtime { WS_RUNTIME_NONE, WS_RUNTIME_PYTHON, WS_RUNTIME_JAVA, WS_RUNTIME_NODE, WS_RUNTIME_TOKIO };

/* Functions plan: whether some call of the thread has returned to a program, so that it is in none which began before.
 */
enum ws_returned { WS_NONE_RETURNED, WS_CALL_RETURNED, WS_TOLD_BEFORE };

struct ws_thread {
  __u32 tid;        /* 0: the slot is free */
  __u32 loop;       /* twice the returns from epoll_wait; see ws_turn() */
  __u64 send_began; /* time the sending call in flight was entered; sockets plan: of the thread's last record */
  __u64 wait_until; /* when the last epoll_wait would have ended by itself: no timer of the loop is due before */
  __u64 task;       /* goroutine, Python context, Java's virtual thread or tokio's task, when the runtime has such */
  __u64 parent_task;
  __u32 capture;
  __u32 runtime_epoch; /* ws_runtime_epoch when the following were looked up */
  __s32 go_g;          /* as in struct ws_go_process */
  __u16 go_id;
  __u16 go_parent;
  __u16 state_at;      /* where it keeps its PyThreadState or JavaThread, from the thread pointer; 0: not found yet */
  __u8 runtime;        /* enum ws_runtime */
  __u8 state_searches; /* for state_at, so far */
  __u8 missed;         /* there was no room for a record of it since the last one that fitted */
  __u8 java_sort;      /* enum ws_java_sort */
  __u8 returned;       /* enum ws_returned */
  __u8 took;           /* the last piece of work it took from a pool's queue was told */
}; /* a cache line each: neighbours run on other CPUs */
WS_ABI_ASSERT(sizeof(struct ws_thread) == 64, "ws_thread");

enum { WS_GO_LIBRARIES = 8 };
struct ws_go_code {
  __u64 begin;
  __u64 size;
};

/* Where a process's Go runtime keeps what we read. */
struct ws_go_process {
  __s32 g;          /* the thread's g, from the thread pointer; 0: threads are not asked (arm64 has it in a register) */
  __u16 goid;       /* in struct g */
  __u16 parent;     /* 0: not to be told */
  __u16 m;          /* in struct g */
  __u16 next;       /* goidcache in struct p */
  __u32 processors; /* 0: not known */
  __u64 allp;       /* address of the slice runtime.allp */
  __u64 processor[WS_PROCESSORS];
  __u16 sendx; /* in struct hchan */
  __u16 recvx;
  __u16 recvq;
  __u16 sendq;
  struct ws_go_code entries;                    /* in which channel operations are probed at their entries */
  struct ws_go_code libraries[WS_GO_LIBRARIES]; /* whose channel operations are not told */
};
WS_ABI_ASSERT(sizeof(struct ws_go_process) == 688, "ws_go_process");

/* Where a process's Python keeps what we read. */
struct ws_python_process {
  __u64 context_type; /* address of PyContext_Type */
  __u32 generation;   /* tells processes apart that had the same number one after the other */
  __u16 thread_keys;  /* the C library's first thread-specific value, from the thread pointer */
  __u16 thread_id;    /* in PyThreadState */
  __u16 context;      /* in PyThreadState */
  __u16 data_stack;   /* datastack_chunk in PyThreadState: greenlets run here, told apart by it; 0: contexts tell */
  __u32 handed;       /* the kernel side's own: how often something went into or came out of a queue */
};
WS_ABI_ASSERT(sizeof(struct ws_python_process) == 24, "ws_python_process");

enum { WS_PYTHON_DEQUES = 8 };

/* Which of a Python process's deques and other queues are told of. */
struct ws_python_deques {
  __u64 followed[WS_PYTHON_DEQUES]; /* their addresses, 0: none */
  __u64 callbacks;                  /* an event loop's, which most operations are on: never told; 0: none known */
  __u32 looks;                      /* of others, so many operations more, to find out what they carry */
  __u32 operations;                 /* the kernel side's own: on all of them; runs over */
  __u32 takes_all;                  /* of those whose takers do not know the queue, all that is taken */
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_python_deques) == 88, "ws_python_deques");

/* What a thread of a JVM is: not asked yet, any, one whose object names the context it works in (Vert.x). */
enum ws_java_sort { WS_JAVA_UNKNOWN, WS_JAVA_THREAD, WS_JAVA_IN_CONTEXTS };

enum { WS_JAVA_CLASSES = 2 };

/* Where a process's JVM keeps what we read (core/java.h): offsets in bytes. */
struct ws_java_process {
  __u16 self;           /* the thread's JavaThread, from the thread pointer */
  __u16 os_thread;      /* in JavaThread */
  __u16 pthread_id;     /* in OSThread */
  __u16 owner;          /* in JavaThread: the thread's number as owner of monitors; 0: the JVM has none */
  __u16 continuation;   /* in JavaThread, with owner */
  __u16 virtual_thread; /* in JavaThread, without */
  __u16 eetop;          /* in java.lang.Thread */
  __u16 number;         /* in java.lang.Thread */
  __u16 thread_object;  /* in JavaThread */
  __u16 context;        /* in the thread's object; 0: no thread here has one */
  __u8 class_at;        /* of an object's class, in it: (the word there >> class_shift) & class_mask */
  __u8 class_shift;
  __u8 reference_size;
  __u8 reference_shift;
  __u64 class_mask;
  __u64 classes[WS_JAVA_CLASSES]; /* of threads that have contexts */
  __u64 reference_base;
  __u64 collecting;  /* address of a byte: objects are being moved */
  __u64 collections; /* address of a 32 bit number: how often they were */
  /* The way from a channel of Netty's to the context its connection works for. */
  __u64 heap; /* addresses of objects: from, to */
  __u64 heap_end;
  __u64 channels[WS_JAVA_CLASSES];    /* classes of channels; 0: the way is not known */
  __u16 sockets[WS_JAVA_CLASSES];     /* in each of them: its socket's object */
  __u16 descriptors[WS_JAVA_CLASSES]; /* in that: the file descriptor, 32 bits */
  __u64 handler_class;
  __u64 client_class; /* of connections; 0: not known */
  __u64 server_class;
  __u16 pipeline; /* in a channel */
  __u16 tail;     /* in its pipeline */
  __u16 previous; /* in the context of a handler there */
  __u16 handler;
  __u16 connection; /* in Vert.x's handler */
  __u16 responses;  /* in a client's connection: the deque of streams that wait for a response */
  __u16 elements;   /* in the deque */
  __u16 end;
  __u16 stream_context;
  __u16 answering;       /* in a server's connection: the request that is answered */
  __u16 request_context; /* in it */
  __u16 array;           /* of an array's first element; its length lies in the four bytes before */
  /* Ways from what waits for a response to whose answer waits for it (core/continuation.h). */
  __u64 way_classes[WS_JAVA_CLASSES];     /* of channels, where they begin and end; 0: none (more) is known */
  __u16 way_sockets[WS_JAVA_CLASSES];     /* in each: its socket's object; 0: it is that itself */
  __u16 way_descriptors[WS_JAVA_CLASSES]; /* in that: the file descriptor, 32 bits */
  __u16 way_handle; /* in java.lang.Thread, where a way ends at who waits: its JavaThread; 0: none does */
  __u16 way_number; /* in it: its number (tid) */
  /* What threads work on and wait for (core/futures.h). */
  __u16 last_frame; /* in JavaThread: the stack pointer of the last frame of Java's; 0: nobody asks */
  __u16 stack_base; /* in JavaThread */
  __u16 thread_id;  /* in OSThread, 32 bits */
  __u16 blocker;    /* in java.lang.Thread: what it waits for */
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_java_process) == 200, "ws_java_process");

enum {
  WS_WAY_FIELDS = 6,
  WS_WAY_ELEMENTS = 16,
  WS_WAY_STEPS = 192,   /* 60 to 70 for java.net.http and CompletableFuture */
  WS_WAY_PENDING = 128, /* places yet to be looked at */
};

/* Which references of a class's objects such ways follow. */
struct ws_java_class_of {
  __u32 pid;
  __u32 named; /* as an object's header names its class, see ws_java_process */
};
struct ws_java_way {
  __u8 count;
  __u8 is_array; /* all elements, of arrays of up to WS_WAY_ELEMENTS */
  __u16 fields[WS_WAY_FIELDS];
  __u8 waits; /* enum ws_way_waits: a way ends here, fields[0] names the thread that waits */
  __u8 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_java_way) == 16, "ws_java_way");

/* Waiters of queues are of nobody but who began at a task: all sorts of things are given to queues. */
enum ws_way_waits { WS_WAITS_NOT, WS_WAITS, WS_WAITS_FOR_TASK };

/* What objects of a class are to whoever looks for futures. */
enum ws_java_kind_is {
  WS_JAVA_FUTURE,   /* work to be done */
  WS_JAVA_HOLDER,   /* a list of such, or something that goes through one */
  WS_JAVA_FOLLOWS,  /* what is to be done once one is done */
  WS_JAVA_ELEMENTS, /* an array */
  WS_JAVA_WAITER,   /* a thread; fields[0]: what has its JavaThread */
  WS_JAVA_TASK,     /* work of which nobody keeps a future */
  WS_JAVA_RESULTS,  /* where futures go when they are done: of what began them alone, if one names it */
};
struct ws_java_kind {
  __u8 is; /* enum ws_java_kind_is */
  __u8 count;
  __u16 done; /* 32 bits: 0 until it is done; 0: not known */
  __u16 fields[WS_WAY_FIELDS];
};
WS_ABI_ASSERT(sizeof(struct ws_java_kind) == 16, "ws_java_kind");

/* Where a process's Node keeps what we read, of its main thread. */
struct ws_node_process {
  __u64 ids;         /* address of async_id_fields: execution, trigger, last given, ... */
  __u64 resolved_by; /* the context that resolved a promise last, since the loop turned to what it is at */
  __u32 sequence;    /* of the next record */
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_node_process) == 24, "ws_node_process");

/* Hits of uprobes by what they are in, each CPU's in a cache line of its own (core/traps.h). */
enum ws_trap { WS_TRAP_GO, WS_TRAP_PYTHON, WS_TRAP_NODE, WS_TRAP_TOKIO, WS_TRAP_COUNT };
enum { WS_TRAP_CPUS = 64 };
struct ws_traps {
  __u64 hits[8];
};
WS_ABI_ASSERT(sizeof(struct ws_traps) == 64, "ws_traps");

/* Where a process's tokio keeps what we read (core/tokio.h): offsets in bytes. */
struct ws_tokio_process {
  __s32 context;   /* the thread-local CONTEXT, from the thread pointer */
  __s32 current;   /* in it the running task's id, also from the thread pointer; 0: not found yet */
  __u16 words;     /* of CONTEXT, at most WS_TOKIO_WORDS */
  __u16 vtable;    /* in a task's Header */
  __u16 id_offset; /* in its Vtable: where a task has its id */
  __u8 tagged;     /* 1: the word before `current` says whether there is one (tokio before its Ids were NonZeroU64) */
  __u8 how;        /* WS_TOKIO_ANSWERS_ONLY: wake-ups by value are not told */
  __u64 driver_first; /* ids of the worker threads' own tasks, in whose name the driver wakes others; 0: not known */
  __u64 driver_last;
};
WS_ABI_ASSERT(sizeof(struct ws_tokio_process) == 32, "ws_tokio_process");

enum { WS_TOKIO_WORDS = 16, WS_TOKIO_WOKEN = 256 };

/* What tells which word of CONTEXT is the running task's id: how often it was that of a task that had been woken. */
struct ws_tokio_guess {
  struct {
    __u64 last;
    __u32 hits;
    __u32 changes; /* hits that differed from the one before on the same thread */
    __u32 tid;     /* who was seen last */
    __u32 zeros;
    __u32 ones;
    __u32 _pad;
  } word[WS_TOKIO_WORDS];
  __u64 woken[WS_TOKIO_WOKEN]; /* by the id's lowest bits */
  __u64 samples;
};
WS_ABI_ASSERT(sizeof(struct ws_tokio_guess) == 2568, "ws_tokio_guess");

struct ws_python_context {
  __u32 pid;
  __u32 generation;
  __u64 address;
};
WS_ABI_ASSERT(sizeof(struct ws_python_context) == 16, "ws_python_context");

enum {
  WS_THREAD_SLOTS = 8192,
  WS_CONN_SLOTS_LOG2 = 13,
  WS_CONN_SLOTS = 1 << WS_CONN_SLOTS_LOG2,
  /* Hints spare most processes of the host the look-up in the targets map. */
  WS_HINTS = 16384,
};

/* Slots per CPU to build records in: see bpf/core/scratch.h. */
enum { WS_SCRATCHES = 2, WS_OPENINGS = 3 };
enum { WS_TURN_SLOTS = 26 }; /* the last: a minute and longer */

struct ws_turns_key {
  __u32 pid;
  __u32 side; /* enum ws_side */
};
WS_ABI_ASSERT(sizeof(struct ws_turns_key) == 8, "ws_turns_key");

/* What one side of a process's connections did while the gate was shut (core/gate.h). */
struct ws_turns {
  __u64 requests;
  __u64 answers;
  __u64 answer_ns;           /* from a request's first byte to its answer's, summed */
  __u64 slot[WS_TURN_SLOTS]; /* answers by floor(log2(ns / 1024)) */
};
WS_ABI_ASSERT(sizeof(struct ws_turns) == 232, "ws_turns");

enum ws_stat {
  WS_STAT_RINGBUF_FULL,     /* records that did not fit */
  WS_STAT_CONN_MAP_FULL,    /* I/O calls of connections there was no room for */
  WS_STAT_TARGET_MAP_FULL,  /* processes */
  WS_STAT_THREAD_MAP_FULL,  /* I/O calls of threads there was no room for */
  WS_STAT_USER_FAULT,       /* copies of payload that failed: the page was not in memory */
  WS_STAT_COMPAT_CALL,      /* I/O calls of 32-bit processes */
  WS_STAT_GO_NOT_G,         /* threads of Go processes that keep their g elsewhere than we think */
  WS_STAT_RING_PAYLOAD,     /* I/O by io_uring or libaio, whose bytes are counted and not copied */
  WS_STAT_TURNS_MAP_FULL,   /* turns of processes there was no room to count */
  WS_STAT_CONTEXT_MAP_FULL, /* Python contexts there was no room for */
  WS_STAT_ASYNC_FAULT,      /* async ids of Node that could not be read */
  WS_STAT_COUNT,
};

/* Argument of the control program, run by the agent with BPF_PROG_TEST_RUN. `value`: enum ws_verdict, or enum ws_how
 * for WS_CONTROL_CLOSE. */
enum ws_control_op { WS_CONTROL_VERDICT = 1, WS_CONTROL_CLOSE = 2, WS_CONTROL_FLUSH = 3 };
struct ws_control {
  __u64 op;
  __u64 sock;
  __u64 conn;
  __u64 value;
};
WS_ABI_ASSERT(sizeof(struct ws_control) == 32, "ws_control");

/* Maps that the agent reads and writes, and how, by the program `maps` (hooks/control.bpf.c). */
enum ws_map {
  WS_MAP_TARGETS,
  WS_MAP_CONNS,
  WS_MAP_TURNS,
  WS_MAP_GO_PROCESSES,
  WS_MAP_PYTHON_PROCESSES,
  WS_MAP_PYTHON_CONTEXTS,
  WS_MAP_PYTHON_DEQUES,
  WS_MAP_JAVA_PROCESSES,
  WS_MAP_JAVA_WAYS,
  WS_MAP_JAVA_KINDS,
  WS_MAP_NODE_PROCESSES,
  WS_MAP_TOKIO_PROCESSES,
  WS_MAP_TOKIO_GUESSES,
  WS_MAP_WAKING_PROCESSES,
  WS_MAP_COUNT,
};
enum ws_map_op { WS_MAP_LOOKUP, WS_MAP_UPDATE, WS_MAP_DELETE };
struct ws_map_argument {
  __u64 map;
  __u64 op;
  __u64 flags;
};
WS_ABI_ASSERT(sizeof(struct ws_map_argument) == 24, "ws_map_argument");

/* What is written, and where what is read is left: in memory both sides have. */
struct ws_map_entry {
  __u64 key[2];
  __u64 value[sizeof(struct ws_tokio_guess) / sizeof(__u64)];
};
WS_ABI_ASSERT(sizeof(struct ws_map_entry) == 2584, "ws_map_entry");

#endif
