// A file system of the kernel's that is mounted nowhere (containers), to be read all the same: mounting it where others
// see it takes CAP_SYS_ADMIN in their namespace, too.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

namespace wirespan {

// A descriptor of its root, to be closed. -1: errno says why.
inline int detached_mount(const char* filesystem) {
  const int context = fsopen(filesystem, FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mount = -1;
  if (fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
  close(context);
  return mount;
}

}  // namespace wirespan
