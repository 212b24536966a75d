// The kernel side, as far as those who follow a language's runtime need it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "bpf/abi/maps.h"

namespace wirespan {

// One thread.
class RuntimeKernel {
 public:
  virtual ~RuntimeKernel() = default;
  // Probes of a program at some places of a file; of one process, or (pid 0) of all that run the file. The returned
  // number names them all. There are no return probes: they change the stack of who is watched, and kill it where that
  // is left for another.
  [[nodiscard]] virtual Result<int> attach_uprobes(std::uint32_t pid, const char* program, const std::string& path,
                                                   std::span<const std::uint64_t> offsets) = 0;
  // Takes effect some time later.
  virtual void detach_uprobes(int probes) = 0;
  virtual void set_go_process(std::uint32_t pid, const ws_go_process& process) = 0;
  virtual void remove_go_process(std::uint32_t pid) = 0;
  virtual void set_python_process(std::uint32_t pid, const ws_python_process& process) = 0;
  virtual void remove_python_process(std::uint32_t pid) = 0;
  // How often something has gone into or come out of one of its queues; runs over.
  [[nodiscard]] virtual std::uint32_t python_handed(std::uint32_t pid) const = 0;
  virtual void set_python_deques(std::uint32_t pid, const ws_python_deques& deques) = 0;
  virtual void remove_python_deques(std::uint32_t pid) = 0;
  // As the kernel side has left them.
  [[nodiscard]] virtual ws_python_deques python_deques(std::uint32_t pid) const = 0;
  virtual void set_java_process(std::uint32_t pid, const ws_java_process& process) = 0;
  virtual void remove_java_process(std::uint32_t pid) = 0;
  // The references of a class's objects that are followed; false: there is no room.
  virtual bool set_java_way(const ws_java_class_of& of, const ws_java_way& way) = 0;
  virtual void remove_java_way(const ws_java_class_of& of) = 0;
  // What a class's objects are to whoever looks for futures; false: there is no room.
  virtual bool set_java_kind(const ws_java_class_of& of, const ws_java_kind& kind) = 0;
  virtual void remove_java_kind(const ws_java_class_of& of) = 0;
  virtual void set_node_process(std::uint32_t pid, const ws_node_process& process) = 0;
  virtual void remove_node_process(std::uint32_t pid) = 0;
  virtual void set_tokio_process(std::uint32_t pid, const ws_tokio_process& process) = 0;
  virtual void remove_tokio_process(std::uint32_t pid) = 0;
  // Learning of where the running task is named begins anew; what was learned so far; and enough of it.
  virtual void begin_tokio_guess(std::uint32_t pid) = 0;
  [[nodiscard]] virtual bool read_tokio_guess(std::uint32_t pid, ws_tokio_guess& guess) const = 0;
  virtual void end_tokio_guess(std::uint32_t pid) = 0;
  // Of all processes: those alive are met anew, as nobody's children.
  virtual void forget_python_contexts() = 0;
};

}  // namespace wirespan
