// The kernel side's maps, as the agent reads and writes them: by a program that it runs, not by operations of bpf(2),
// during which the kernel skips programs attached by perf (docs/adr/0014). Kernels before 5.10 cannot run it; none of
// them skips.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "bpf/abi/maps.h"

struct bpf_object;

namespace wirespan {

// One thread: there is one place for what goes in and out.
class KernelMaps {
 public:
  KernelMaps() = default;
  // `program`: maps, of bpf/hooks/control.bpf.c. Both are to outlive this object.
  KernelMaps(const bpf_object& object, int program, ws_map_entry& entry);

  // 0, or -errno. `flags`: BPF_ANY, BPF_NOEXIST, BPF_EXIST.
  template <class Key, class Value>
  int update(ws_map map, const Key& key, const Value& value, std::uint64_t flags = 0) {
    put(key, entry_->key);
    put(value, entry_->value);
    return run(map, WS_MAP_UPDATE, flags);
  }
  template <class Key, class Value>
  [[nodiscard]] bool lookup(ws_map map, const Key& key, Value& value) const {
    put(key, entry_->key);
    if (run(map, WS_MAP_LOOKUP, 0) != 0) return false;
    static_assert(std::is_trivially_copyable_v<Value> && sizeof(value) <= sizeof(entry_->value));
    std::memcpy(&value, entry_->value, sizeof(value));
    return true;
  }
  // False: it was not there.
  template <class Key>
  bool remove(ws_map map, const Key& key) {
    put(key, entry_->key);
    return run(map, WS_MAP_DELETE, 0) == 0;
  }
  // The key after this one, or the first (nullptr); false: there is none. bpf(2) does that without hiding anything.
  template <class Key>
  [[nodiscard]] bool next(ws_map map, const Key* key, Key& next) const {
    return next_key(map, key, &next);
  }
  // For operations of bpf(2) all the same.
  [[nodiscard]] int fd(ws_map map) const { return fds_[map]; }

 private:
  template <class T, std::size_t N>
  static void put(const T& value, __u64 (&to)[N]) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(value) <= sizeof(to));
    std::memcpy(to, &value, sizeof(value));
  }
  [[nodiscard]] int run(ws_map map, ws_map_op op, std::uint64_t flags) const;
  [[nodiscard]] bool next_key(ws_map map, const void* key, void* next) const;

  std::array<int, WS_MAP_COUNT> fds_{};
  int program_ = -1;
  ws_map_entry* entry_ = nullptr;
};

}  // namespace wirespan
