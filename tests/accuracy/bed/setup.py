"""Installs what the services need into build/accuracy, once per change of what is asked for."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bed.processes import BedError

HERE = Path(__file__).resolve().parent.parent
SERVICES = HERE / "services"


class Missing(Exception):
    """A runtime is not on this machine: its kinds are left out, and said so."""


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Missing(f"no {program}")


class Toolchains:
    def __init__(self, build: Path):
        self.build = build
        self.build.mkdir(parents=True, exist_ok=True)
        self._done = {}

    def _once(self, name, inputs, make):
        """Runs make() unless its inputs are what they were when it last succeeded."""
        if name in self._done:
            if isinstance(self._done[name], Missing):
                raise self._done[name]
            return
        try:
            stamp = self.build / f"{name}.stamp"
            digest = hashlib.sha256()
            for path in sorted(inputs):
                digest.update(str(path.relative_to(HERE)).encode() + path.read_bytes())
            if not stamp.exists() or stamp.read_text() != digest.hexdigest():
                print(f"setting up {name} ...", file=sys.stderr, flush=True)
                make()
                stamp.write_text(digest.hexdigest())
            self._done[name] = True
        except Missing as e:
            self._done[name] = e
            raise

    def _run(self, command, cwd=None, env=None):
        done = subprocess.run(list(map(str, command)), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})})
        if done.returncode != 0:
            raise BedError(f"{' '.join(map(str, command))}:\n" + "\n".join(done.stdout.splitlines()[-20:]))
        return done.stdout

    # Each returns what a command line needs.

    def go(self) -> Path:
        """The folder of the built Go programs: generator, backend and the Go services."""
        need("go")
        out = self.build / "go"
        inputs = [HERE / "go.mod", *HERE.glob("go.sum"), *HERE.rglob("*.go")]
        self._once("go", inputs, lambda: self._run(["go", "build", "-p", "2", "-o", f"{out}/", "./..."], cwd=HERE,
                                                  env={"GOFLAGS": "-buildvcs=false"}))
        return out

    def python(self) -> Path:
        """The bin folder of a virtual environment."""
        venv = self.build / "venv"
        requirements = SERVICES / "requirements.txt"

        def make():
            shutil.rmtree(venv, ignore_errors=True)
            try:
                self._run([sys.executable, "-m", "venv", venv])
            except BedError as e:
                raise Missing("no python venv") from e
            self._run([venv / "bin/pip", "install", "--quiet", "-r", requirements])

        self._once("python", [requirements], make)
        return venv / "bin"

    def node(self, kind) -> Path:
        """The folder of its packages, for NODE_PATH."""
        need("node", "npm")
        packages = self.build / "node" / kind
        wanted = [SERVICES / kind / name for name in ("package.json", "package-lock.json")]

        def install():
            packages.mkdir(parents=True, exist_ok=True)
            for file in wanted:
                shutil.copy(file, packages)
            self._run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=packages)

        self._once(f"npm-{kind}", wanted, install)
        return packages / "node_modules"

    def java(self, kind, at_least=17) -> list:
        """The start of a command line: the JVM, then what follows its options."""
        java = self.jdk(at_least)
        classes = self.build / "classes" / kind
        own = (SERVICES / kind / "pom.xml").exists()
        jars = self.build / (f"jars-{kind}" if own else "jars")
        pom = SERVICES / kind / "pom.xml" if own else SERVICES / "pom.xml"
        need("mvn")
        self._once(f"maven-{kind}" if own else "maven", [pom], lambda: self._run(
            ["mvn", "-q", "-B", "-f", pom, f"-DoutputDirectory={jars}",
             "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"]))
        sources = [*(SERVICES / kind).glob("*.java"), *(SERVICES / "common").glob("*.java")]

        def compile_all():
            shutil.rmtree(classes, ignore_errors=True)
            self._run([java / "javac", "-nowarn", "-cp", f"{jars}/*", "-d", classes, *sources])

        self._once(f"javac-{kind}", sources, compile_all)
        return [java / "java", "-Xmx512m", "-cp", f"{classes}:{jars}/*", "Main"]

    def jdk(self, at_least) -> Path:
        """The bin folder of the first JDK new enough: the one on the PATH, else any installed."""
        on_path = shutil.which("javac")
        homes = [Path(on_path).resolve().parent.parent] if on_path else []
        for home in homes + sorted(Path("/usr/lib/jvm").glob("*")):
            if (home / "bin/javac").exists() and _java_version(home) >= at_least:
                return home / "bin"
        raise Missing(f"no JDK {at_least} or newer")

    def rust(self, kind) -> Path:
        """The built program."""
        need("cargo")
        crate = SERVICES / kind
        target = self.build / "cargo"
        inputs = [crate / "Cargo.toml", crate / "Cargo.lock", *crate.rglob("*.rs"), SERVICES / "common/plan.rs"]
        self._once(f"cargo-{kind}", inputs, lambda: self._run(
            ["cargo", "build", "--release", "--locked", "-j", "2"], cwd=crate, env={"CARGO_TARGET_DIR": str(target)}))
        return target / "release" / kind


def _java_version(home: Path) -> int:
    release = home / "release"
    found = re.search(r'JAVA_VERSION="(\d+)', release.read_text()) if release.exists() else None
    return int(found.group(1)) if found else 0


def php_fpm() -> str:
    """Debian names it after its version."""
    for name in ["php-fpm", *(p.name for p in sorted(Path("/usr/sbin").glob("php-fpm*")))]:
        if shutil.which(name):
            return shutil.which(name)
    raise Missing("no php-fpm")


def nginx() -> str:
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Missing("no nginx")
    return path
