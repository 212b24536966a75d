#include "agent/capture/java_references.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace wirespan {
namespace {

constexpr std::uint32_t kMostSize = 16'384;  // of an object
constexpr std::uint32_t kMostElements = 1024;
constexpr std::uint32_t kMostBlocks = 64;
constexpr std::uint32_t kMostEntries = 65'536;  // of a vtable or an itable
constexpr std::size_t kFirstRead = 64;          // most objects are smaller
constexpr std::size_t kMostAbove = 16;

// Klass::_layout_helper (klass.hpp): positive, the size of an instance; else the two highest bits name the sort of
// array.
constexpr std::int32_t kArrayOfReferences = -2;
constexpr unsigned kArrayTagShift = 30;
constexpr std::uint32_t kSizeMask = ~7U;

// What serves all requests, whichever program it is: the JDK's own.
constexpr std::array<std::string_view, 6> kShared{"java/lang/Thread",
                                                  "java/lang/ThreadGroup",
                                                  "java/lang/Class",
                                                  "java/lang/ClassLoader",
                                                  "java/util/concurrent/AbstractExecutorService",
                                                  "java/nio/channels/Selector"};
constexpr std::array<std::string_view, 2> kCode{"java/lang/Class", "java/lang/ClassLoader"};

}  // namespace

JavaReferences::Collections JavaReferences::collections() const {
  Collections out;
  if (!memory_.read(heap_.collecting, &out.now, sizeof(out.now)) ||
      !memory_.read(heap_.collections, &out.number, sizeof(out.number))) {
    out.now = 1;
  }
  return out;
}

std::int32_t JavaReferences::number(std::uint64_t object, std::uint16_t field) const {
  std::int32_t value = -1;
  return memory_.read(object + field, &value, sizeof(value)) ? value : -1;
}

void JavaReferences::read_layout(std::uint64_t klass, JavaLayout& to) const {
  std::int32_t layout = 0;
  if (!memory_.read(klass + table_.offset("Klass::_layout_helper"), &layout, sizeof(layout))) return;
  if (layout <= 0) {
    to.array = layout >> kArrayTagShift == kArrayOfReferences;
    return;
  }
  std::uint32_t vtable = 0;
  std::uint32_t itable = 0;
  std::uint32_t blocks = 0;
  if (!memory_.read(klass + table_.offset("Klass::_vtable_len"), &vtable, sizeof(vtable)) ||
      !memory_.read(klass + table_.offset("InstanceKlass::_itable_len"), &itable, sizeof(itable)) ||
      !memory_.read(klass + table_.offset("InstanceKlass::_nonstatic_oop_map_size"), &blocks, sizeof(blocks)) ||
      vtable > kMostEntries || itable > kMostEntries || blocks > kMostBlocks) {
    return;
  }
  to.size = static_cast<std::uint32_t>(layout) & kSizeMask;
  // OopMapBlock: an offset and a count. They follow the two tables, which follow the InstanceKlass.
  const std::uint64_t at =
      klass + (table_.size("InstanceKlass") + 7) / 8 * 8 + std::uint64_t{vtable + itable} * sizeof(std::uint64_t);
  std::vector<std::array<std::uint32_t, 2>> maps(blocks);
  if (blocks == 0 || !memory_.read(at, maps.data(), blocks * sizeof(maps[0]))) return;
  for (const auto& [offset, count] : maps) to.references.emplace_back(offset, count);
}

const JavaLayout& JavaReferences::layout_of(std::uint32_t named, std::size_t below) {
  const auto [it, fresh] = layouts_.try_emplace(named);
  JavaLayout& of = it->second;  // stays where it is
  if (!fresh || named == 0) return of;
  auto name = objects_.name(named);
  if (!name) return of;  // it is none
  of.name = *std::move(name);
  of.shared = std::ranges::find(kShared, of.name) != kShared.end();
  of.code = std::ranges::find(kCode, of.name) != kCode.end();
  const auto above = static_cast<std::uint32_t>(objects_.above(named));
  if (above != 0 && below < kMostAbove) {
    const JavaLayout& parent = layout_of(above, below + 1);
    of.shared = of.shared || parent.shared;
    of.code = of.code || parent.code;
  }
  read_layout(heap_.class_base + (std::uint64_t{named} << heap_.class_unit), of);
  return of;
}

void JavaReferences::add(const std::uint8_t* at, std::uint16_t field, std::vector<JavaReference>& to) const {
  std::uint64_t reference = 0;
  std::memcpy(&reference, at, heap_.reference_size);
  if (reference == 0) return;
  if (heap_.reference_size == 4) reference = heap_.reference_base + (reference << heap_.reference_shift);
  if (reference >= heap_.begin && reference < heap_.end) to.push_back({field, reference});
}

void JavaReferences::refresh() {
  pages_.clear();
  read_.clear();
}

void JavaReferences::keep() {
  kept_.merge(read_);
  read_.clear();
}

void JavaReferences::forget() {
  refresh();
  kept_.clear();
}

const JavaReferences::Object& JavaReferences::read(std::uint64_t object) {
  if (const auto it = kept_.find(object); it != kept_.end()) return it->second;
  const auto [it, fresh] = read_.try_emplace(object);
  Object& out = it->second;
  if (!fresh) return out;
  std::array<std::uint8_t, kMostSize> bytes;  // NOLINT(*-member-init): most of it is not needed
  std::size_t have = kFirstRead;
  if (object < heap_.begin || object >= heap_.end || !pages_.read(object, bytes.data(), have)) return out;
  std::uint64_t word = 0;
  std::memcpy(&word, &bytes[heap_.class_at], sizeof(word));
  out.named = static_cast<std::uint32_t>(word >> heap_.class_shift & heap_.class_mask);
  const JavaLayout& of = layout_of(out.named);
  const auto have_at_least = [&](std::size_t size) {
    if (size <= have) return true;
    have = size;
    return size <= bytes.size() && pages_.read(object, bytes.data(), size);
  };
  if (of.array) {
    std::uint32_t length = 0;
    std::memcpy(&length, &bytes[heap_.array - sizeof(length)], sizeof(length));
    length = std::min(length, kMostElements);
    if (!have_at_least(heap_.array + std::size_t{length} * heap_.reference_size)) return out;
    for (std::uint32_t i = 0; i < length; ++i)
      add(&bytes[heap_.array + std::size_t{i} * heap_.reference_size], JavaReference::kElement, out.references);
    return out;
  }
  if (of.references.empty() || !have_at_least(of.size)) return out;
  for (const auto& [offset, count] : of.references) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::size_t at = offset + std::size_t{i} * heap_.reference_size;
      if (at + heap_.reference_size > of.size) break;
      add(&bytes[at], static_cast<std::uint16_t>(at), out.references);
    }
  }
  return out;
}

}  // namespace wirespan
