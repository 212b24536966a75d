// network.*, client.address and server.address from a connection (semantic conventions, "General attributes").
#pragma once

#include "model/attributes.h"
#include "model/event.h"
#include "model/ids.h"

namespace wirespan {

// network.transport, network.type, network.peer.* and network.local.* as the traced process sees the connection.
// IPv4-mapped IPv6 addresses are written as the IPv4 they are. A Unix socket's path is the address of the end that
// bound it; the other end has none.
//
// client.address of a SERVER span is the peer: headers that claim another (X-Forwarded-For) can be written by anybody.
// server.address and server.port of a CLIENT span are set only where the protocol did not (it knows the name asked
// for).
void add_network_attributes(const Connection& connection, SpanRole role, Attributes& out);

// "192.0.2.1", "2001:db8::1"; "" for Unix sockets.
[[nodiscard]] std::string address_text(const Address& address);

}  // namespace wirespan
