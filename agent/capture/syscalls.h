// Table system call number -> what it means to capture (enum ws_op), for the running architecture.
#pragma once

#include <array>
#include <cstdint>

#include "bpf/abi/maps.h"

namespace wirespan {

[[nodiscard]] std::array<std::uint8_t, WS_SYSCALLS> syscall_classes();

}  // namespace wirespan
