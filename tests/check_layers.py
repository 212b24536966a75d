#!/usr/bin/env python3
"""Holds every #include against the table in cmake/Layers.cmake; CMake itself refuses the wrong link edges.

Besides: siblings (protocols, exporters) never include each other, no protocol is named outside its folder, and the
correlator touches no BPF, descriptor or socket. Prints one line per breach; exit status 1 if there is any.
"""

import re
import sys
from pathlib import Path

SUFFIXES = {".h", ".c", ".cc"}
FOLDERS = ("base", "model", "bpf", "correlator", "exporters", "agent")
# Kernel side: not in CMake's table, because no C++ library may link it. It may include the ABI and itself.
KERNEL = "bpf_kernel"
SIBLINGS = ("agent/protocols", "exporters")
# Folders beside them that are for all of them.
SHARED = {"common", "encode", "output", "queue", "testing"}
# These speak HTTP themselves (OTLP over HTTP), whatever protocols we parse.
MAY_NAME_PROTOCOLS = {"exporters", "config", "health", "protocols"}
# Hands each part its section of the configuration, and sections are named after protocols.
HANDS_OUT_SETTINGS = "agent/commands/settings.cc"
NOT_IN_CORRELATOR = re.compile(r"^(bpf|linux|sys|net|netinet|arpa|asm)/|^(unistd|fcntl|poll|netdb|libelf|gelf|dlfcn)\.h$")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*")|(\'(?:\\.|[^\'\\\n])*\')', re.DOTALL)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def read_table(cmake):
    """{layer: set of layers it may include}, from the set() lines of Layers.cmake."""
    sets = {name: values.replace('"', "").split() for name, values in re.findall(r"^set\((\w+)\s+([^)]*)\)", cmake, re.MULTILINE)}
    layers = sets["WIRESPAN_LAYERS"]
    table = {layer: {layer, *sets[f"WIRESPAN_ALLOW_{layer}"]} for layer in layers}
    table[KERNEL] = {KERNEL, "bpf_abi"}
    return table


def layer_of(path):
    parts = Path(path).parts
    # What only tests link may join stages, as tests do.
    if "testing" in parts[1:-1]:
        return None
    if parts[0] in ("base", "model", "correlator", "exporters"):
        return parts[0]
    if parts[0] == "bpf":
        return "bpf_abi" if parts[1] == "abi" else KERNEL
    if parts[0] == "agent":
        # The files on top and the commands join the stages.
        return "pipeline" if len(parts) == 2 or parts[1] == "commands" else parts[1]
    return None  # tests and bench may include anything


def sibling_of(path):
    """("agent/protocols", "http") for a file in one of the sibling folders, else None."""
    for parent in SIBLINGS:
        rest = Path(path).parts[len(Path(parent).parts):]
        if str(path).startswith(parent + "/") and len(rest) > 1:
            return parent, rest[0]
    return None


def code_of(text):
    """Without comments; literals and line numbers stay."""
    return COMMENT_OR_TEXT.sub(lambda found: found[0] if found[1] or found[2] else "\n" * found[0].count("\n"), text)


def words_of(identifier):
    return {word.lower() for word in WORD.findall(identifier)}


def breaches(root):
    root = Path(root)
    table = read_table((root / "cmake/Layers.cmake").read_text())
    files = sorted(path.relative_to(root) for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in SUFFIXES)
    # http1 and http2 both stand for "http".
    folders = {path.name for path in (root / "agent/protocols").glob("*") if path.is_dir()} - SHARED
    protocols = {name.rstrip("0123456789") for name in folders}
    for file in files:
        layer = layer_of(file)
        if layer is None:
            continue
        if layer not in table:
            yield f"{file}: folder '{layer}' is no layer of cmake/Layers.cmake"
            continue
        text = (root / file).read_text(errors="replace")
        yield from include_breaches(root, file, layer, table, text)
        if layer not in MAY_NAME_PROTOCOLS and not file.stem.endswith(("_test", "_bench")) and str(file) != HANDS_OUT_SETTINGS:
            yield from naming_breaches(file, protocols, text)


def include_breaches(root, file, layer, table, text):
    for match in INCLUDE.finditer(text):
        quote, target = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if layer == "correlator" and NOT_IN_CORRELATOR.search(target):
            yield f"{file}:{line}: <{target}>: the correlator touches no BPF, descriptor or socket"
        if quote == "<":
            continue
        if not (root / target).exists():
            # Kernel code names its neighbours without a path; generated headers have no file here.
            continue
        other = layer_of(target)
        if other is None and file.stem.endswith(("_test", "_fuzz", "_bench")):
            continue
        if other not in table[layer]:
            yield f"{file}:{line}: {layer} may not include {target} ({other or 'tests'}): see cmake/Layers.cmake"
        ours, theirs = sibling_of(file), sibling_of(target)
        if ours and theirs and ours[0] == theirs[0] and ours[1] != theirs[1] and theirs[1] not in SHARED:
            yield f"{file}:{line}: {ours[1]} may not include its sibling {target}"


def naming_breaches(file, protocols, text):
    for number, line in enumerate(code_of(text).splitlines(), 1):
        if line.lstrip().startswith("#include"):
            continue
        literals = {literal.lower() for literal in re.findall(r'"((?:\\.|[^"\\])*)"', line)}
        bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
        words = {word for identifier in IDENTIFIER.findall(bare) for word in words_of(identifier)}
        for name in sorted(protocols & (literals | words)):
            yield f"{file}:{number}: names the protocol '{name}' outside agent/protocols"


def main(root="."):
    found = list(breaches(root))
    print("\n".join(found) if found else "layers hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
