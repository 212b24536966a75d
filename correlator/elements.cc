#include "correlator/elements.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostElements = 8192;

}  // namespace

std::uint64_t Elements::sent(std::uint64_t element, std::uint64_t work, bool own, const World& world) {
  // Most are results, for which nobody is known to work.
  if (element == 0 || (work == 0 && firsts_.peek(element) == nullptr)) return work;
  First& first = firsts_.use(element, kMostElements);
  if (first.shared) return work;
  if (world.open.find(first.work) == nullptr || (own && !first.own)) {
    first = {work, own, false};
    return work;
  }
  // Connections, buffers: what several requests send while they are open is no work of any.
  first.shared = own && work != first.work;
  return first.shared ? work : first.work;
}

}  // namespace wirespan
