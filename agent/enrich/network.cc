#include "agent/enrich/network.h"

#include <algorithm>
#include <array>
#include <string>

namespace wirespan {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// The four bytes of an IPv4 address, also when it is mapped into IPv6 (RFC 4291, 2.5.5.2): dual-stack listeners see all
// their IPv4 clients so. Null for a real IPv6 address.
const std::uint8_t* ipv4(const Address& address) {
  if (address.family == Address::Family::kIpv4) return address.ip.data();
  if (std::equal(kMapped.begin(), kMapped.end(), address.ip.begin())) return address.ip.data() + kMapped.size();
  return nullptr;
}

bool has_ip(const Address& address) {
  return address.family == Address::Family::kIpv4 || address.family == Address::Family::kIpv6;
}

void set_end(const Address& address, Literal address_key, Literal port_key, Attributes& out) {
  if (!has_ip(address)) return;
  out.set_new(address_key, address_text(address));
  out.set_new(port_key, address.port);
}

void set_unix(const Connection& connection, SpanRole role, bool far_end_named, Attributes& out) {
  out.set_new("network.transport", "unix");
  const std::string& peer = connection.remote.path;
  if (!peer.empty()) out.set_new("network.peer.address", peer);
  if (!connection.local.path.empty()) out.set_new("network.local.address", connection.local.path);
  if (role == SpanRole::kClient && !peer.empty() && !far_end_named) out.set_new("server.address", peer);
}

}  // namespace

std::string address_text(const Address& address) {
  if (!has_ip(address)) return {};
  const std::uint8_t* bytes = ipv4(address);
  if (bytes == nullptr) return address.ip_text();
  std::string out;
  for (int i = 0; i < 4; ++i) {
    if (i != 0) out.push_back('.');
    const unsigned value = bytes[i];
    if (value >= 100) out.push_back(static_cast<char>('0' + value / 100));
    if (value >= 10) out.push_back(static_cast<char>('0' + value / 10 % 10));
    out.push_back(static_cast<char>('0' + value % 10));
  }
  return out;
}

void set_network_attributes(const Connection& connection, SpanRole role, bool far_end_named, Attributes& out) {
  if (connection.transport == Transport::kUnix) return set_unix(connection, role, far_end_named, out);
  out.set_new("network.transport", "tcp");
  const Address& known = has_ip(connection.remote) ? connection.remote : connection.local;
  if (has_ip(known)) out.set_new("network.type", ipv4(known) != nullptr ? Literal("ipv4") : Literal("ipv6"));
  set_end(connection.remote, "network.peer.address", "network.peer.port", out);
  set_end(connection.local, "network.local.address", "network.local.port", out);
  if (!has_ip(connection.remote) || far_end_named) return;
  if (role == SpanRole::kServer) {
    out.set_new("client.address", address_text(connection.remote));
  } else {
    out.set_new("server.address", address_text(connection.remote));
    out.set_new("server.port", connection.remote.port);
  }
}

}  // namespace wirespan
