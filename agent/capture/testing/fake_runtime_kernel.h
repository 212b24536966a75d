// A kernel side that only remembers what it was told.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <string>

#include "agent/capture/runtime_kernel.h"

namespace wirespan::testing {

class FakeRuntimeKernel : public RuntimeKernel {
 public:
  Result<int> attach_uprobes(std::uint32_t, const char*, const std::string& path,
                             std::span<const std::uint64_t> offsets) override {
    std::ifstream file(path, std::ios::binary);
    for (const std::uint64_t offset : offsets) {
      file.seekg(static_cast<std::streamoff>(offset));
      instructions.insert(file.get());
    }
    attached.insert(++last_);
    return last_;
  }
  void detach_uprobes(int probes) override { attached.erase(probes); }
  void set_go_process(std::uint32_t, const ws_go_process&) override {}
  void remove_go_process(std::uint32_t) override {}
  void set_python_process(std::uint32_t pid, const ws_python_process&) override { known.insert(pid); }
  void remove_python_process(std::uint32_t pid) override { known.erase(pid); }
  std::uint32_t python_handed(std::uint32_t) const override { return handed; }
  void set_python_deques(std::uint32_t pid, const ws_python_deques& of) override { deques[pid] = of; }
  void remove_python_deques(std::uint32_t pid) override { deques.erase(pid); }
  ws_python_deques python_deques(std::uint32_t pid) const override {
    const auto it = deques.find(pid);
    return it == deques.end() ? ws_python_deques{} : it->second;
  }
  void set_java_process(std::uint32_t, const ws_java_process&) override {}
  void remove_java_process(std::uint32_t) override {}
  bool set_java_way(const ws_java_class_of&, const ws_java_way&) override { return true; }
  void remove_java_way(const ws_java_class_of&) override {}
  bool set_java_kind(const ws_java_class_of&, const ws_java_kind&) override { return true; }
  void remove_java_kind(const ws_java_class_of&) override {}
  void set_node_process(std::uint32_t, const ws_node_process&) override {}
  void remove_node_process(std::uint32_t) override {}
  void set_tokio_process(std::uint32_t, const ws_tokio_process&) override {}
  void remove_tokio_process(std::uint32_t) override {}
  void begin_tokio_guess(std::uint32_t) override {}
  bool read_tokio_guess(std::uint32_t, ws_tokio_guess&) const override { return false; }
  void end_tokio_guess(std::uint32_t) override {}
  void forget_python_contexts() override {}

  std::set<int> attached;
  std::set<int> instructions;  // first bytes of what is probed
  std::set<std::uint32_t> known;
  std::map<std::uint32_t, ws_python_deques> deques;
  std::uint32_t handed = 0;

 private:
  int last_ = 0;
};

}  // namespace wirespan::testing
