"""One virtual machine under qemu's own processor emulation: no KVM needed, about ten times slower than the host.

One emulated processor on one thread: with several threads qemu 7.2 now and then runs a breakpoint the guest kernel is
just patching into its own code, and the guest oopses.
"""

import subprocess
import threading
import time
from pathlib import Path


def host_khz():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return int(float(line.split(":")[1]) * 1000)
    return 0


class Machine:
    """Boots at once. `wait` gives all its console said."""

    def __init__(self, kernel, image, append="", network=None, clock=None, memory=1536, seconds=3600, echo=None, log=None):
        # no_timer_check: on a busy host the timer interrupt comes too late for the test at boot, which then panics (5.10).
        # The guest's clock is the host's counter; measured under load its rate can come out several times wrong.
        counter = f"tsc=reliable tsc_early_khz={host_khz()}" if host_khz() else ""
        # rcu_expedited: perf waits for grace periods at each detach, which take up to 0.3 s each on one emulated processor.
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", str(memory), "-no-reboot",
                   "-nodefaults", "-display", "none", "-serial", "stdio", "-monitor", "none", "-device", "virtio-rng-pci",
                   "-kernel", str(kernel / "vmlinux"), "-initrd", str(image),
                   "-append", f"console=ttyS0 panic=-1 quiet mitigations=off no5lvl no_timer_check rcupdate.rcu_expedited=1 {counter} {append}"]
        if network:
            spec, mac = network
            command += ["-netdev", f"{spec},id=n0", "-device", f"virtio-net-pci,netdev=n0,romfile=,mac={mac}"]
        if clock:  # "2030-01-01T00:00:00": what its hardware clock says at start, UTC
            command += ["-rtc", f"base={clock}"]
        self.lines = []
        self.echo = echo
        self.log = open(log, "w", buffering=1) if log else None
        self.began = time.monotonic()
        # Ended by the kernel, should we be killed.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.timer = threading.Timer(seconds, self.process.kill)
        self.timer.daemon = True
        self.timer.start()

    def _read(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").replace("\r", "").rstrip("\n")
            self.lines.append(line)
            if self.log:
                self.log.write(line + "\n")
            if self.echo:
                self.echo(line)

    def wait_for_file(self, path):
        """A socket it makes at its start, which the next machine connects to."""
        while not path.exists() and self.process.poll() is None:
            time.sleep(0.02)

    def wait(self):
        self.process.wait()
        self.timer.cancel()
        self.reader.join(10)
        if self.log:
            self.log.close()
        self.seconds = time.monotonic() - self.began
        return self.lines

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
