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
// `far_end_named`: the protocol set client.address of a SERVER span, or server.address of a CLIENT span, which then are
// left out here. `out` is empty before.
void set_network_attributes(const Connection& connection, SpanRole role, bool far_end_named, Attributes& out);

// "192.0.2.1", "2001:db8::1"; "" for Unix sockets.
[[nodiscard]] std::string address_text(const Address& address);

}  // namespace wirespan
