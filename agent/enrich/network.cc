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

void add_end(const Address& address, std::string_view address_key, std::string_view port_key, Attributes& out) {
  if (!has_ip(address)) return;
  out.set(address_key, address_text(address));
  out.set(port_key, address.port);
}

void add_unix(const Connection& connection, SpanRole role, Attributes& out) {
  out.set("network.transport", "unix");
  const std::string& peer = connection.remote.path;
  if (!peer.empty()) out.set("network.peer.address", peer);
  if (!connection.local.path.empty()) out.set("network.local.address", connection.local.path);
  if (role == SpanRole::kClient && !peer.empty() && !out.find("server.address")) out.set("server.address", peer);
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

void add_network_attributes(const Connection& connection, SpanRole role, Attributes& out) {
  if (connection.transport == Transport::kUnix) return add_unix(connection, role, out);
  out.set("network.transport", "tcp");
  const Address& known = has_ip(connection.remote) ? connection.remote : connection.local;
  if (has_ip(known)) out.set("network.type", ipv4(known) != nullptr ? "ipv4" : "ipv6");
  add_end(connection.remote, "network.peer.address", "network.peer.port", out);
  add_end(connection.local, "network.local.address", "network.local.port", out);
  if (!has_ip(connection.remote)) return;
  if (role == SpanRole::kServer) {
    if (!out.find("client.address")) out.set("client.address", address_text(connection.remote));
  } else if (!out.find("server.address")) {
    out.set("server.address", address_text(connection.remote));
    out.set("server.port", connection.remote.port);
  }
}

}  // namespace wirespan
