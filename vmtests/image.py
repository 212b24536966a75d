"""The machines' whole file system, as an initramfs: wirespan, its libraries, a Python, real servers, the tests.

Nothing of this machine is shared with the guest but what is copied here.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "dev.d"))

from late_libraries import late_libraries

INSIDE = "wirespan"  # where the source tree lies in the guest
# Parts of Python's library no test needs, half of its size.
NO_PYTHON = {"test", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "distutils", "pydoc_data", "sqlite3", "site-packages",
             "dist-packages", "curses", "xmlrpc", "wsgiref", "dbm", "msilib", "venv"}
PROGRAMS = ("nginx", "ip", "nft", "tc", "setpriv", "unshare", "nsenter", "mount", "sh", "bpftool")


class Image:
    """Files by their path in the guest; written as a cpio archive ("newc", Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.entries = {}

    def directory(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.directory(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b"", 0)

    def symlink(self, path, target):
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode(), 0)

    def file(self, path, source):
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        info = os.stat(source)
        self.entries[path] = (stat.S_IFREG | stat.S_IMODE(info.st_mode), Path(source), int(info.st_mtime))

    def tree(self, path, source, wanted=lambda path: True):
        for file in sorted(Path(source).rglob("*")):
            if file.is_file() and wanted(file):
                self.file(f"{path}/{file.relative_to(source)}", file)

    def program(self, source, path=None):
        """With the shared libraries it names, and its interpreter."""
        real = os.path.realpath(source)
        self.file(settled(path or str(source)), real)
        listed = subprocess.run(["ldd", real], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+)(?= \(0x)", listed):
            self.file(settled(library), os.path.realpath(library))
        for library in late_libraries(real).values():
            self.program(library, library)

    def write(self, target):
        with open(target, "wb") as out:
            for number, (path, (mode, content, mtime)) in enumerate(self.entries.items(), 1):
                data = content.read_bytes() if isinstance(content, Path) else content
                record(out, number, path, mode, mtime, data)
            record(out, 0, "TRAILER!!!", 0, 0, b"")


def settled(path):
    """/bin/x -> /usr/bin/x: in the guest the short folders are links, as on the host."""
    return re.sub(r"^/(bin|sbin|lib|lib32|lib64)/", r"/usr/\1/", path)


def record(out, inode, path, mode, mtime, data):
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, mtime & 0xFFFFFFFF, len(data), 0, 0, 0, 0, len(name), 0)
    out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
    out.write(b"\0" * (-(110 + len(name)) % 4))
    out.write(data)
    out.write(b"\0" * (-len(data) % 4))


def find(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/local/go/bin:/usr/sbin:/sbin:/usr/bin:/bin")


def add_python(image):
    """The system's own Python: its library lies in one place, which a user's may not."""
    python = os.path.realpath("/usr/bin/python3")
    version = os.path.basename(python)
    home = Path("/usr/lib") / version
    image.program(python, f"/usr/bin/{version}")
    image.symlink("/usr/bin/python3", version)

    def wanted(file):
        parts = file.relative_to(home).parts
        return not NO_PYTHON.intersection(parts) and not parts[0].startswith("config-") and not file.name.endswith((".opt-1.pyc", ".opt-2.pyc"))

    image.tree(str(home), home, wanted)
    for extension in (home / "lib-dynload").glob("*.so"):
        image.program(extension)


def build(target, binaries):
    """`binaries`: wirespan and the test programs, from the build folder."""
    image = Image()
    for name in ("bin", "sbin", "lib", "lib64"):
        image.directory(f"usr/{name}")
        image.symlink(name, f"usr/{name}")
    for name in ("proc", "sys", "dev", "run", "tmp", "var/tmp", "etc", "root", "mnt", "var/log/nginx", "var/lib/nginx"):
        image.directory(name)
    for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n"),
                       ("group", "root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\n"), ("hosts", "127.0.0.1 localhost\n"),
                       ("machine-id", "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e\n")):
        image.entries[f"etc/{name}"] = (stat.S_IFREG | 0o644, text.encode(), 0)
    busybox = find("busybox")
    image.program(busybox, "/usr/bin/busybox")
    image.symlink("/usr/sbin/modprobe", "../bin/busybox")
    missing = [name for name in PROGRAMS if not find(name)]
    if missing:
        sys.exit(f"vmtest: not installed: {', '.join(missing)}")
    for name in PROGRAMS:
        image.program(find(name), settled(find(name)))
    for applet in ("cat", "ls", "sleep", "kill", "true", "hostname", "mkdir", "rm", "cp", "ps", "dmesg", "insmod", "head", "tail", "grep", "cut", "wc", "id", "find"):
        if f"usr/bin/{applet}" not in image.entries:
            image.symlink(f"/usr/bin/{applet}", "busybox")
    add_python(image)
    for library in ("libgcc_s.so.1",):  # loaded by name when a thread is cancelled
        found = next(Path("/usr/lib").glob(f"*/{library}"))
        image.file(str(found), found)
    for binary in binaries:
        image.program(binary, f"/{INSIDE}/{binary.relative_to(ROOT)}")
    stock = ROOT / "build/services/stock"
    if stock.exists():
        image.program(stock, f"/{INSIDE}/build/services/stock")
    for folder in ("tests/harness", "tests/services", "vmtests/guest"):
        image.tree(f"{INSIDE}/{folder}", ROOT / folder, lambda file: "__pycache__" not in file.parts)
    image.file("init", ROOT / "vmtests/guest/init")
    image.write(target)


def with_modules(common, kernel, target):
    """The image for one kernel: archives may follow one another."""
    modules = Image()
    modules.tree("", kernel / "modules")
    with open(target, "wb") as out, open(common, "rb") as first:
        shutil.copyfileobj(first, out)
    extra = target.with_suffix(".modules")
    modules.entries = {path.replace("lib/modules", "usr/lib/modules", 1): entry for path, entry in modules.entries.items() if path != "lib"}
    modules.write(extra)
    with open(target, "ab") as out, open(extra, "rb") as second:
        shutil.copyfileobj(second, out)
    extra.unlink()
