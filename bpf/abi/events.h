/* Records in the ring buffer. Times are CLOCK_BOOTTIME ns; process and thread ids are those of the initial namespace.
 */
#ifndef WIRESPAN_BPF_ABI_EVENTS_H
#define WIRESPAN_BPF_ABI_EVENTS_H

#include "bpf/abi/types.h"

enum ws_event_type {
  WS_EV_DATA = 1,
  WS_EV_OPENED,
  WS_EV_CLOSED,
  WS_EV_FORK,
  WS_EV_EXEC,
  WS_EV_EXIT,
  WS_EV_LISTEN,
  WS_EV_WAKE,
  WS_EV_HANDOVER,
  WS_EV_BIRTHS,
  WS_EV_LINEAGE,
  WS_EV_ASYNC,
  WS_EV_TOKIO,
  WS_EV_LEADS,
  WS_EV_HOLDS,
};

enum ws_direction { WS_RECEIVED = 0, WS_SENT = 1 };
enum ws_side { WS_SIDE_UNKNOWN = 0, WS_SIDE_ACTIVE = 1, WS_SIDE_PASSIVE = 2 };
enum ws_family { WS_FAMILY_IPV4 = 1, WS_FAMILY_IPV6 = 2, WS_FAMILY_UNIX = 3 };
enum ws_how { WS_CLOSED = 0, WS_RESET = 1, WS_FORGOTTEN = 2 };

enum {
  WS_TAIL_BYTES = 16,
  WS_CALL_CAPTURE_MAX = 16384, /* most that is copied of one call, verdict kMore */
  WS_UNIX_PATH = 108,
};

enum ws_event_flags {
  WS_EV_SPENT = 1,  /* data: the turn's bytes to copy are used up, so that further calls may go untold for a while */
  WS_EV_MISSED = 2, /* data: there was no room for what the thread did right before */
};

struct ws_ev_header {
  __u8 type; /* enum ws_event_type */
  __u8 flags;
  __u8 _pad[2];
  __u32 pid;
  __u64 time;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_header) == 16, "ws_ev_header");

/* One I/O call, or several continuing calls of a turn whose bytes are no longer copied. Then `captured` bytes follow.
 */
struct ws_ev_data {
  struct ws_ev_header h;
  __u64 conn;
  __u64 position; /* payload bytes of this direction before it */
  __u64 task;
  __u64 parent_task;
  __u32 tid;
  __u32 loop;
  __u32 length;
  __u16 captured;
  __u8 direction; /* enum ws_direction */
  __u8 tail_size;
  __u8 tail[WS_TAIL_BYTES]; /* the last bytes when captured < length */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_data) == 80, "ws_ev_data");

/* A connection is known. Told again, with has_base, when it was still being made the first time. */
struct ws_ev_opened {
  struct ws_ev_header h; /* pid: who opened, accepted or first used it */
  __u64 conn;
  __u64 sock;   /* key of the connection in the kernel's table */
  __u64 opened; /* 0: not seen */
  __u32 tid;    /* who called connect or accept; 0: nobody was seen to */
  __u32 loop;
  __u64 inode;
  __u64 peer_inode; /* Unix sockets; 0: the peer was not accepted yet */
  __u32 sent_base;  /* TCP: sequence number of the first payload byte */
  __u32 received_base;
  __u8 family; /* enum ws_family */
  __u8 side;   /* enum ws_side */
  __u8 adopted;
  __u8 has_base;
  __u8 side_guessed; /* the kernel could not tell which side of the SYN it was: sent_base is the passive side's */
  __u8 local_path_size;
  __u8 remote_path_size;
  __u8 _pad;
  __u8 local_ip[16];
  __u8 remote_ip[16];
  __u16 local_port;
  __u16 remote_port;
  __u32 _pad2;
  __u8 local_path[WS_UNIX_PATH]; /* sun_path; abstract names begin with a zero byte */
  __u8 remote_path[WS_UNIX_PATH];
};
WS_ABI_ASSERT(sizeof(struct ws_ev_opened) == 336, "ws_ev_opened");

struct ws_ev_closed {
  struct ws_ev_header h;
  __u64 conn;
  __u32 how; /* enum ws_how */
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_closed) == 32, "ws_ev_closed");

struct ws_ev_fork {
  struct ws_ev_header h; /* pid: parent */
  __u32 parent_tid;
  __u32 child_pid; /* == pid: a new thread */
  __u32 child_tid;
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_fork) == 32, "ws_ev_fork");

struct ws_ev_exec {
  struct ws_ev_header h;
  __u32 is_target; /* 0: told only because somebody asked for every exec (exe and cgroup selectors) */
  __u32 parent_pid;
  __u8 comm[16];
};
WS_ABI_ASSERT(sizeof(struct ws_ev_exec) == 40, "ws_ev_exec");

struct ws_ev_exit {
  struct ws_ev_header h;
  __u32 tid;
  __u32 process; /* 1: the last thread; the process is gone */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_exit) == 24, "ws_ev_exit");

struct ws_ev_listen {
  struct ws_ev_header h;
  __u16 port;
  __u16 is_target;
  __u32 _pad;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_listen) == 24, "ws_ev_listen");

struct ws_ev_wake {
  struct ws_ev_header h; /* pid: waker */
  __u32 tid;
  __u32 loop;
  __u64 task;
  __u64 parent_task;
  __u32 wakee_pid;
  __u32 wakee_tid;
  __u32 alone; /* the wakee waits for a word on its own stack */
  __u32 reserved;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_wake) == 56, "ws_ev_wake");

/* May: something goes into or comes out of a queue of which is not known yet what it carries. */
enum ws_handover_role {
  WS_CALLS = 1,
  WS_WRITES,
  WS_SENDS,
  WS_RECEIVES,
  WS_GIVES,
  WS_TAKES,
  WS_ASKS,
  WS_MAY_GIVE,
  WS_MAY_TAKE,
  WS_BEGINS /* a goroutine */
};
/* Operations that are one case of a select: the first, or the only one, of those told of it; or another one. And
 * whether they are ready, so that one of them was done, unless another case that is not told was as well. */
enum ws_select_case { WS_NO_SELECT, WS_FIRST_CASE, WS_ANOTHER_CASE, WS_FIRST_DRAWN, WS_ANOTHER_DRAWN };

/* A goroutine gives work to an object of the runtime (a client's connection, a channel), or takes it from one. Or a
 * thread of Python gives a piece of work to a pool, or one of the pool takes it: the object is that piece, 0: none. */
struct ws_ev_handover {
  struct ws_ev_header h;
  __u64 object; /* address in the process */
  __u64 task;
  __u64 parent_task;
  __u64 place; /* channels: the element's number in the ring buffer; Python: address of the queue, 0: not told */
  __u64 other; /* channels: the goroutine that waits at the other end, 0: none */
  __u64 site;  /* channels: where in the program the operation is, an address of its code */
  __u32 tid;
  __u16 role;        /* enum ws_handover_role */
  __u16 select_case; /* channels: enum ws_select_case */
  __u32 queued;      /* channels: elements in the buffer before; WS_GIVES: the giver's turn, as in ws_ev_data.loop */
  __u32 capacity;    /* channels: of the buffer */
  __u64 element;     /* channels, of what is sent: tells it from others that are under way; 0: nothing does */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_handover) == 88, "ws_ev_handover");

enum { WS_PROCESSORS = 64 };

/* Told just before a goroutine's read that may begin a request: which ids new goroutines will get. */
struct ws_ev_births {
  struct ws_ev_header h;
  __u64 task;
  __u32 count;
  __u32 _pad;
  __u64 next[WS_PROCESSORS]; /* of each processor; high byte: how many are left of its run; `count` are sent */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_births) == 544, "ws_ev_births");

/* The last three have no other task in `other` but an address: of the oneshot it sends a value through; of one whose
 * value, told before, it sees; of the semaphore (of a lock, of a channel with a bound) it lets go of. */
enum ws_tokio_role { WS_TOKIO_WAKES = 1, WS_TOKIO_SPAWNS, WS_TOKIO_REPLIES, WS_TOKIO_GETS, WS_TOKIO_LETS_GO };
/* In `how`, of WS_TOKIO_WAKES: the waker is kept; and wake-ups by value are not told now. Of WS_TOKIO_SPAWNS: the new
 * one may block its thread, which is its own until it ends. */
enum { WS_TOKIO_BY_REFERENCE = 1, WS_TOKIO_ANSWERS_ONLY = 2, WS_TOKIO_BLOCKING = 4 };

/* A task of Rust's tokio makes another one runnable, begins it, or does something with what both share. */
struct ws_ev_tokio {
  struct ws_ev_header h;
  __u64 task;
  __u64 other;
  __u32 tid;
  __u16 role; /* enum ws_tokio_role */
  __u16 how;
};
WS_ABI_ASSERT(sizeof(struct ws_ev_tokio) == 40, "ws_ev_tokio");

/* In task numbers: a Python context, and the rest is when it was born (CLOCK_BOOTTIME ns); where greenlets run, an
 * address that is theirs alone while they live; of a virtual thread of Java, its number (Thread.threadId). */
#define WS_TASK_CONTEXT (1ULL << 63)
/* Of the three highest bits just this and the last: a task of tokio, and the rest is its tokio::task::Id. */
#define WS_TASK_TOKIO (5ULL << 61)

/* With it, a Java object that names who is worked for, where it lay after so many collections of garbage: the agent
 * makes a number of it that stays (agent/capture/java_contexts). */
#define WS_TASK_OBJECT (1ULL << 62)
enum { WS_OBJECT_ALIGNMENT = 3, WS_OBJECT_BITS = 44, WS_COLLECTION_BITS = 18 };

enum { WS_ANCESTORS = 12 };

/* Told once for a Python context, before the first I/O done in it: in which contexts it and its like were born. */
struct ws_ev_lineage {
  struct ws_ev_header h;
  __u64 task;
  __u32 count;
  __u32 told;                    /* the kernel side's own */
  __u64 ancestors[WS_ANCESTORS]; /* the parent first */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_lineage) == 128, "ws_ev_lineage");

enum ws_async_where {
  WS_ASYNC_RECEIVES, /* the two as enum ws_direction */
  WS_ASYNC_SENDS,
  WS_ASYNC_CONNECTS,
  WS_ASYNC_BEGINS,   /* the loop turns to something that no socket of ours tells of */
  WS_ASYNC_MAKES,    /* a socket, which gets the next id */
  WS_ASYNC_RESOLVES, /* a promise, out of which microtasks come that run in no context */
  WS_ASYNC_SETS,     /* a timer, which the last id given out may be of */
};

/* In which asynchronous context a Node process does something: doubles of its own, as they lie in its memory. Told just
 * before the record of what it does. */
struct ws_ev_async {
  struct ws_ev_header h; /* its time is up to a tick (10 ms) old */
  __u64 conn;            /* 0: none */
  __u64 execution;       /* executionAsyncId() */
  __u64 trigger;         /* triggerAsyncId() */
  __u64 given;           /* the last id given out */
  __u32 sequence;        /* of the process: a gap tells that one was lost */
  __u32 where;           /* enum ws_async_where */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_async) == 56, "ws_ev_async");

/* Told just before the record of a response: whose answer waits for it in a Java process, see core/continuation.h. */
struct ws_ev_leads {
  struct ws_ev_header h;
  __u64 call;    /* connection the response came on */
  __u64 request; /* connection of the request; 0: a thread waits */
  __u64 task;    /* that, if it is a virtual one: as tasks are numbered */
  __u32 tid;     /* else */
  __u32 worker;  /* by what this thread works on, which has read the response itself; 0: by its channel */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_leads) == 48, "ws_ev_leads");

enum { WS_HOLD_MOST = 16, WS_HOLD_WAITERS = 2 };

/* Which futures a thread of a Java process works on, told just before the record of the response that it read, or
 * holds, told just before the record of its being woken; see core/futures.h. */
struct ws_ev_holds {
  struct ws_ev_header h;
  __u64 conn; /* the response came on; 0: the thread waits */
  __u32 tid;
  __u32 collections; /* of garbage, so far: what addresses hold for */
  __u16 count;
  __u16 waiters;
  __u32 waiting[WS_HOLD_WAITERS]; /* threads that wait for what the thread works on */
  __u32 _pad;
  __u64 works_on;              /* the deepest on its stack that is not done; 0: none */
  __u64 futures[WS_HOLD_MOST]; /* addresses */
};
WS_ABI_ASSERT(sizeof(struct ws_ev_holds) == 184, "ws_ev_holds");

#endif
