"""Two hosts' worth of network on one: client and server namespaces with a router between them that does NAT as a
Kubernetes service does: DNAT of a virtual address, and masquerade with a random port."""

import ctypes
import os
import subprocess
import threading

from .stack import need

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace, work):
    """Runs work() on a thread in the namespace; sockets, threads and processes it starts are there too."""
    result = {}

    def run():
        try:
            with open(f"/run/netns/{namespace}", "rb") as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns {namespace}")
            result["value"] = work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            result["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


class Natted:
    """Context manager. Addresses are seen in these namespaces only."""

    virtual_address, virtual_port = "10.200.9.9", 80
    server_address = "10.200.2.2"

    def __init__(self, server_port):
        self.server_port = server_port
        self.ip, self.nft = need("ip"), need("nft")
        self.client, self.router, self.server = (f"wirespan-{os.getpid()}-{role}" for role in ("client", "router", "server"))

    def __enter__(self):
        try:
            self._lay()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for namespace in (self.client, self.router, self.server):
            subprocess.run([self.ip, "netns", "delete", namespace], stderr=subprocess.DEVNULL, check=False)

    def _run(self, line):
        subprocess.run(line.split(), check=True, capture_output=True)

    def _lay(self):
        for namespace in (self.client, self.router, self.server):
            self._run(f"{self.ip} netns add {namespace}")
            self._run(f"{self.ip} -n {namespace} link set lo up")
        for namespace, net in ((self.client, 1), (self.server, 2)):
            self._run(f"{self.ip} -n {namespace} link add eth0 type veth peer name eth{net} netns {self.router}")
            for where, device, last in ((namespace, "eth0", 2), (self.router, f"eth{net}", 1)):
                self._run(f"{self.ip} -n {where} address add 10.200.{net}.{last}/24 dev {device}")
                self._run(f"{self.ip} -n {where} link set {device} up")
            self._run(f"{self.ip} -n {namespace} route add default via 10.200.{net}.1")
        rules = f"""
            table ip nat {{
              chain pre {{ type nat hook prerouting priority dstnat;
                ip daddr {self.virtual_address} tcp dport {self.virtual_port} dnat to {self.server_address}:{self.server_port}; }}
              chain post {{ type nat hook postrouting priority srcnat; oifname "eth2" masquerade fully-random; }}
            }}"""

        def route_and_rewrite():
            # /proc/sys/net is that of the namespace of the thread that opens it.
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forward:
                forward.write("1")
            subprocess.run([self.nft, "-f", "-"], input=rules, text=True, check=True, capture_output=True)

        inside(self.router, route_and_rewrite)
