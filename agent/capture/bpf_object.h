// The BPF object: opened, set up, loaded, attached; everything the kernel holds for it goes when this object goes
// (links and maps are descriptors of this process, nothing is pinned).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/capture/kernel_maps.h"
#include "agent/capture/runtime_kernel.h"
#include "agent/capture/trap_cost.h"
#include "agent/capture/uprobes.h"
#include "base/result.h"
#include "bpf/abi/maps.h"

struct bpf_link;
struct bpf_program;
struct wirespan_bpf;

namespace wirespan {

// Knobs of bpf/core/config.h and map sizes.
struct BpfSettings {
  bool trace_all = false;
  bool watch_exec = false;
  bool watch_listen = false;
  std::uint32_t capture_bytes = 1024;
  std::uint32_t ring_bytes = 4U << 20U;  // power of two, at least a page
  std::uint32_t max_connections = 131'072;
  std::uint32_t max_processes = 32'768;
  std::uint32_t max_threads = 32'768;
  bool verifier_counts = false;  // for verified_instructions()
  bool one_link = true;          // for many uprobes, where the kernel has such; false: as on older kernels
};

// One thread.
class BpfObject final : public RuntimeKernel {
 public:
  // Loads just these programs; nullptr among them is nothing. On failure the error's hint holds the tail of the
  // verifier's log, and `refused`, where given, the program that failed, "" when it was something else.
  [[nodiscard]] static Result<std::unique_ptr<BpfObject>> load(const BpfSettings& settings,
                                                               std::span<const char* const> programs,
                                                               std::string* refused = nullptr);
  ~BpfObject() override;
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;

  [[nodiscard]] Status attach(const char* program);
  void detach(const char* program);
  void detach_all();

  // What TCP's own times lack to be CLOCK_BOOTTIME, ns.
  void set_boot_offset(std::uint64_t ns);

  // -1 when there is no such map.
  [[nodiscard]] int map_fd(const char* name) const;

  [[nodiscard]] KernelMaps& maps() { return maps_; }

  void set_target(std::uint32_t pid, const ws_target& target);
  void remove_target(std::uint32_t pid);
  [[nodiscard]] bool is_target(std::uint32_t pid) const;

  // Probes end with detach_all() and with this object.
  [[nodiscard]] Result<int> attach_uprobes(std::uint32_t pid, const char* program, const std::string& path,
                                           std::span<const std::uint64_t> offsets) override;
  void detach_uprobes(int probes) override;
  // From now on detached uprobes are taken off, by threads with the rights of now.
  void begin_detaching() { detacher_.begin(); }
  // Whether the process's wake-ups are told, while their program is attached.
  void tell_wakes(std::uint32_t pid, bool on);
  void set_go_process(std::uint32_t pid, const ws_go_process& process) override;
  void remove_go_process(std::uint32_t pid) override;
  void set_python_process(std::uint32_t pid, const ws_python_process& process) override;
  void remove_python_process(std::uint32_t pid) override;
  [[nodiscard]] std::uint32_t python_handed(std::uint32_t pid) const override;
  void set_python_deques(std::uint32_t pid, const ws_python_deques& deques) override;
  void remove_python_deques(std::uint32_t pid) override;
  [[nodiscard]] ws_python_deques python_deques(std::uint32_t pid) const override;
  void set_java_process(std::uint32_t pid, const ws_java_process& process) override;
  void remove_java_process(std::uint32_t pid) override;
  bool set_java_way(const ws_java_class_of& of, const ws_java_way& way) override;
  void remove_java_way(const ws_java_class_of& of) override;
  bool set_java_kind(const ws_java_class_of& of, const ws_java_kind& kind) override;
  void remove_java_kind(const ws_java_class_of& of) override;
  void set_node_process(std::uint32_t pid, const ws_node_process& process) override;
  void remove_node_process(std::uint32_t pid) override;
  void set_tokio_process(std::uint32_t pid, const ws_tokio_process& process) override;
  void remove_tokio_process(std::uint32_t pid) override;
  void begin_tokio_guess(std::uint32_t pid) override;
  [[nodiscard]] bool read_tokio_guess(std::uint32_t pid, ws_tokio_guess& guess) const override;
  void end_tokio_guess(std::uint32_t pid) override;
  void forget_python_contexts() override;

  // Runs the control program. False: the connection is gone, or the kernel cannot (before 5.10).
  bool control(ws_control_op op, std::uint64_t sock, std::uint64_t conn, std::uint64_t value);

  // Ids of the connections in the kernel's table that some process of the host has open. nullopt: this kernel cannot
  // tell.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> open_connections() const { return read_iterator("files"); }
  // Accepted TCP connections of traced processes that wait for an answer: process << 32 | inode. nullopt: as above.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> asked_connections() const { return read_iterator("asked"); }

  // Since load, by enum ws_stat.
  void read_stats(std::span<std::uint64_t, WS_STAT_COUNT> out) const;

  // The governor's globals (bpf/core/gate.h), and what they count. Valid as long as this object.
  struct GateMemory {
    std::uint32_t* shut;
    std::uint32_t* no_wakeups;
    std::uint32_t* capture;
    std::span<const ws_conn_slot> slots;
  };
  [[nodiscard]] GateMemory gate() const;
  // What traced processes have paid for the breakpoints of uprobes since load, less what costs() tells: estimated.
  [[nodiscard]] std::uint64_t trap_ns() const;
  // Set: the next record wakes the ring's reader, which clears it. Valid as long as this object.
  [[nodiscard]] std::uint32_t* reader_dozes() const;

  struct ProgramCost {
    std::string name;
    std::uint64_t runs = 0;
    std::uint64_t ns = 0;      // 0 unless kernel.bpf_stats_enabled
    std::uint64_t missed = 0;  // runs the kernel skipped because the program was already running on that CPU
  };
  [[nodiscard]] std::vector<ProgramCost> costs() const;
  // What the verifier went through to accept the program; 0 when it was not loaded or not to be counted.
  [[nodiscard]] std::uint64_t verified_instructions(std::string_view program) const;
  // Bytes of kernel memory its maps hold, as the kernel accounts it, but for those mapped here: all of their pages are
  // resident memory of this process.
  [[nodiscard]] std::uint64_t map_bytes() const;

 private:
  // Threads ask anew what their processes run.
  void begin_runtime_epoch();
  explicit BpfObject(wirespan_bpf* skeleton);
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> read_iterator(std::string_view program) const;
  void note_trap(const bpf_program* program, const std::string& path, std::span<const std::uint64_t> offsets);

  wirespan_bpf* skeleton_;
  std::optional<TrapCost> trap_cost_;
  std::array<bool, WS_TRAP_COUNT> stepped_{};             // some of its probes stand where the kernel steps
  std::vector<std::pair<std::string, bpf_link*>> links_;  // by program
  bool one_link_ = false;                                 // holds the uprobes of a program
  std::vector<std::optional<Uprobes>> uprobes_;           // by the number that names them; nullopt: detached
  UprobeDetacher detacher_;
  KernelMaps maps_;
  int control_fd_ = -1;
  std::map<std::string, std::uint32_t, std::less<>> events_;  // programs attached by perf: number of their event
  std::map<std::string, std::uint64_t, std::less<>> instructions_;
};

}  // namespace wirespan
