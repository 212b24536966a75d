"""Installs what the services need into build/accuracy, once per change of what is asked for."""
import hashlib
import os
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

    def java(self, kind) -> list:
        """The start of a command line, up to the main class's arguments."""
        java = self.jdk()
        classes = self.build / "classes" / kind
        jars = self.build / "jars"
        pom = SERVICES / "pom.xml"
        sources = [*(SERVICES / kind).glob("*.java"), *(SERVICES / "common").glob("*.java")]
        if pom.exists():
            need("mvn")
            self._once("maven", [pom], lambda: self._run(
                ["mvn", "-q", "-B", "-f", pom, f"-DoutputDirectory={jars}",
                 "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"]))

        def compile():
            shutil.rmtree(classes, ignore_errors=True)
            self._run([java / "javac", "-cp", f"{jars}/*", "-d", classes, *sources])

        self._once(f"javac-{kind}", sources, compile)
        return [java / "java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{classes}:{jars}/*", "Main"]

    def jdk(self) -> Path:
        need("java", "javac")
        return Path(shutil.which("java")).parent
