// Loaded before the agent's libraries (LD_PRELOAD): the wall clock as the agent sees it is off by what the file
// CLOCK_STEPS says, a 64-bit number of seconds that may change at any moment. The machine's own clock is not touched:
// others live by it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec*);
static const volatile int64_t* off_by;

__attribute__((constructor)) static void prepare(void) {
  real_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const char* name = getenv("CLOCK_STEPS");
  const int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* mapped = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) off_by = mapped;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  // Allocators ask for the time before anybody's constructor has run.
  const int status = real_gettime ? real_gettime(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && clock == CLOCK_REALTIME && off_by) now->tv_sec += *off_by;
  return status;
}
