"""Debian's kernels for the virtual machines: found, fetched and unpacked without touching this machine's apt.

A kernel folder holds `release` (uname -r), `vmlinux` (boots directly, by its PVH note) and `modules/` (only those the
tests need, uncompressed, with modules.dep).
"""

import lzma
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

KERNELS = ("5.10", "6.1", "6.12", "6.18", "7.2")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = {
    "debian": ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports"),
    "debian-security": ("bullseye-security", "bookworm-security", "trixie-security"),
}
# What the tests make: virtual links, NAT, delays, and the card two machines share.
MODULES = ("virtio_pci", "virtio_net", "veth", "bridge", "sch_netem", "nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_redir",
           "nf_conntrack", "nft_ct", "tls")


class NoKernel(Exception):
    pass


def mirror():
    """Debian's archive as this machine's own sources name it, without the last path part."""
    for file in (*Path("/etc/apt/sources.list.d").glob("*.sources"), *Path("/etc/apt").glob("sources.list"),
                 *Path("/etc/apt/sources.list.d").glob("*.list")):
        for uri in re.findall(r"\bhttps?://\S+", file.read_text()):
            if uri.rstrip("/").endswith("/debian"):
                return uri.rstrip("/")[: -len("debian")]
    raise NoKernel("this machine's apt sources name no Debian archive (VM tests boot Debian's kernels)")


class Apt:
    """apt with lists, cache and status of its own below `directory`."""

    def __init__(self, directory):
        self.directory = directory
        for part in ("lists/partial", "cache/archives/partial"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        base = mirror()
        lines = [f"deb {signed}{base}{archive} {suite} main\n" for archive, suites in SUITES.items() for suite in suites]
        (directory / "sources").write_text("".join(lines))
        options = {"Dir::Etc::SourceList": directory / "sources", "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::Preferences": "/dev/null",
                   "Dir::Etc::PreferencesParts": "/dev/null", "Dir::State::Lists": directory / "lists", "Dir::Cache": directory / "cache",
                   "Dir::State::status": directory / "status", "Acquire::Languages": "none", "APT::Sandbox::User": "root",
                   "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false"}
        self.options = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]

    def run(self, tool, *args, cwd=None):
        done = subprocess.run([tool, "-q", *self.options, *args], capture_output=True, text=True, check=False, cwd=cwd)
        if done.returncode != 0:
            raise NoKernel(f"{tool} {' '.join(args)}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def update(self):
        self.run("apt-get", "update")

    def names(self, prefix):
        return self.run("apt-cache", "pkgnames", prefix).split()

    def download(self, packages, into):
        self.run("apt-get", "download", *packages, cwd=into)


def natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def uncompressed(image):
    """The ELF file inside a bzImage. Layout: Documentation/x86/boot.rst, fields setup_sects and payload_*."""
    data = image.read_bytes()
    base = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[base + offset : base + offset + length]
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    if payload.startswith(b"\x02\x21\x4c\x18"):  # the last four bytes are the size, not lz4
        return subprocess.run(["lz4", "-dcq"], input=payload[:-4], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    raise NoKernel(f"{image}: compressed in an unknown way")


def unpack_modules(root, release, into):
    """The modules of MODULES this kernel has, and what they need, uncompressed."""
    subprocess.run(["depmod", "-b", root, release], check=True)
    home = into / "lib/modules" / release
    home.mkdir(parents=True)
    for module in MODULES:
        shown = subprocess.run(["modprobe", "-d", root, "-S", release, "--show-depends", module], capture_output=True, text=True, check=False)
        for line in shown.stdout.splitlines():
            if not line.startswith("insmod "):
                continue
            source = Path(line.split()[1])
            target = home / source.name.removesuffix(".xz")
            target.write_bytes(lzma.decompress(source.read_bytes()) if source.suffix == ".xz" else source.read_bytes())
    for name in ("modules.builtin", "modules.order"):
        if (root / "lib/modules" / release / name).exists():
            shutil.copy(root / "lib/modules" / release / name, home)
    subprocess.run(["depmod", "-b", into, release], check=True, stderr=subprocess.DEVNULL)


def fetch(version, directory, apt):
    """Fetches and unpacks the newest kernel of that series into `directory`."""
    names = [name for name in apt.names("linux-image-") if re.fullmatch(rf"linux-image-{re.escape(version)}\.\d.*-cloud-amd64", name)
             and "-dbg" not in name and "-rt-" not in name]
    if not names:
        raise NoKernel(f"Debian's archive has no kernel {version}")
    release = max(names, key=natural).removeprefix("linux-image-")
    work = directory.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    (work / "deb").mkdir(parents=True)
    # From 6.19 on the image package is empty and points to these.
    split = [f"linux-binary-{release}", f"linux-modules-{release}", f"linux-base-{release}"]
    apt.download(split if split[0] in apt.names("linux-binary-") else [f"linux-image-{release}"], work / "deb")
    root = work / "root"
    root.mkdir()
    for package in (work / "deb").glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    image = next((path for path in (*root.glob("boot/vmlinuz-*"), *root.glob("lib/modules/*/vmlinuz")) if path.exists()), None)
    if image is None:
        raise NoKernel(f"kernel {release} came without its image")
    (work / "vmlinux").write_bytes(uncompressed(image))
    unpack_modules(root, release, work / "modules")
    (work / "release").write_text(release)
    shutil.rmtree(root)
    shutil.rmtree(work / "deb")
    shutil.rmtree(directory, ignore_errors=True)
    work.rename(directory)
    return release


def ensure(versions, home):
    """version -> folder; what is there already is not asked for again."""
    missing = [version for version in versions if not (home / version / "release").exists()]
    if missing:
        apt = Apt(home / "apt")
        apt.update()
        for version in missing:
            print(f"kernel {version}: {fetch(version, home / version, apt)}", flush=True)
    return {version: home / version for version in versions}
