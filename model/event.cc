#include "model/event.h"

#include <arpa/inet.h>

namespace wirespan {

std::string Address::ip_text() const {
  if (family != Family::kIpv4 && family != Family::kIpv6) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family == Family::kIpv4 ? AF_INET : AF_INET6, ip.data(), text.data(), text.size());
  return text.data();
}

}  // namespace wirespan
