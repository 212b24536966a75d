// A runtime that shows by a file a process maps (libjvm, node), and can be understood some time after that: the process
// is looked at now and then until it is understood, or refused for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/runtime_watch.h"
#include "base/counters.h"
#include "base/result.h"

namespace wirespan {

class MappedRuntime : public RuntimeWatch {
 public:
  void found(std::uint32_t pid, BootTime now, LazyMaps& maps) override;
  void exited(std::uint32_t pid) override;
  void used(std::uint32_t pid) override;
  void sweep(BootTime now) override;
  [[nodiscard]] std::vector<std::string> describe() const override;

 protected:
  // `name` of the runtime, in counters as well; `seen`: what is seen of it, in the plural; `looks`: ns after a process
  // was found at which it is looked at, ascending. All live for ever.
  MappedRuntime(const char* name, const char* seen, std::span<const std::int64_t> looks, Counters& counters);

 private:
  struct Process {
    BootTime since{};
    std::size_t looks = 0;
    bool mapped = false;
    bool known = false;
    std::uint64_t start = 0;  // of the file it is known by
    std::uint64_t inode = 0;
    bool refused = false;  // for good
    bool used = false;
    bool waits = false;       // to be used
    std::uint64_t pages = 0;  // of address space, at the last look
    std::string why;          // it is not known
  };

  // From /proc/PID/maps, whose text is `maps`. An empty path: it runs no such thing (yet).
  [[nodiscard]] virtual MappedFile mapping_of(std::uint32_t pid, const std::string& maps) const = 0;
  // Tells the kernel side of the process. EAGAIN: not yet; else Error.what says why never, for people.
  [[nodiscard]] virtual Status understand(std::uint32_t pid, const std::string& maps, const MappedFile& mapping) = 0;
  // Whether understanding one more costs enough to wait until it is used.
  [[nodiscard]] virtual bool waits_for_use() const { return false; }
  // Takes back what understand() did, all or some of it.
  virtual void release(std::uint32_t pid) = 0;

  void look(std::uint32_t pid, Process& process, LazyMaps& maps);
  void look_again(std::uint32_t pid, Process& process);
  void forget(std::uint32_t pid, Process& process);

  const char* name_;
  const char* seen_;
  std::span<const std::int64_t> looks_;
  std::unordered_map<std::uint32_t, Process> processes_;
  BootTime due_{};  // when the first process is to be looked at again
  Counter& known_;
  Counter& refused_;
};

}  // namespace wirespan
