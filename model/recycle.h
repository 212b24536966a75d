// Shared objects that are made and dropped for every message, reused together with the buffers they own: a request
// costs no allocation once the agent is warm.
//
// Threads: any; each thread keeps what it releases, at most kKept of each type, and frees the rest.
// T needs reset(T&), found by argument-dependent look-up, which must drop what it refers to and bound what it keeps.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace wirespan {
namespace recycle_detail {

constexpr std::size_t kKept = 1024;

// A thread's store. Objects may outlive it (thread exit): `gone` is trivially destructible and stays readable.
template <class T, void (*kDestroy)(T*)>
class Store {
 public:
  static T* take() {
    if (gone_) return nullptr;
    Store& store = instance();
    if (store.kept_.empty()) return nullptr;
    T* const out = store.kept_.back();
    store.kept_.pop_back();
    return out;
  }
  static void give(T* object) {
    if (gone_) return kDestroy(object);
    Store& store = instance();
    if (store.kept_.size() >= kKept) return kDestroy(object);
    store.kept_.push_back(object);
  }

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() {
    gone_ = true;
    for (T* object : kept_) kDestroy(object);
  }

 private:
  static Store& instance() {
    thread_local Store store;
    return store;
  }
  static inline thread_local bool gone_ = false;
  std::vector<T*> kept_;
};

template <class T>
void destroy_object(T* object) {
  delete object;
}
template <class T>
void destroy_memory(T* memory) {
  ::operator delete(static_cast<void*>(memory));
}

template <class T>
using Objects = Store<T, destroy_object<T>>;

// For the shared_ptr's control blocks.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) {}  // NOLINT(google-explicit-constructor): the standard's shape
  T* allocate(std::size_t count) {
    if (count == 1) {
      if (T* const memory = Store<T, destroy_memory<T>>::take(); memory != nullptr) return memory;
    }
    return static_cast<T*>(::operator new(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) {
    if (count == 1) return Store<T, destroy_memory<T>>::give(memory);
    ::operator delete(static_cast<void*>(memory));
  }
  template <class U>
  bool operator==(const Allocator<U>&) const {
    return true;
  }
};

}  // namespace recycle_detail

template <class T>
std::shared_ptr<T> make_recycled() {
  T* object = recycle_detail::Objects<T>::take();
  if (object == nullptr) object = new T();
  return std::shared_ptr<T>(
      object,
      [](T* used) {
        reset(*used);
        recycle_detail::Objects<T>::give(used);
      },
      recycle_detail::Allocator<T>());
}

}  // namespace wirespan
