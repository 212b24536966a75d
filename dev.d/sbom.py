#!/usr/bin/env python3
"""sbom.py BINARY BUILD_DIRECTORY: what the binary is made of, as SPDX 2.3 JSON on standard output.

From what is there and not from a list kept by hand: the libraries the loader would take (ldd), those opened late
(late_libraries.py), and the headers its objects were compiled with (ninja's dependency log), each with the Debian package that owns it. A package whose headers were
compiled in and of whose source no library is loaded is header-only (STATIC_LINK).
SOURCE_DATE_EPOCH, if set, makes the document reproducible.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

from late_libraries import late_libraries

# Debian's names of licences, as far as the packages we use have them, to SPDX's. Others are left as a comment.
LICENCES = {
    "expat": "MIT", "mit": "MIT", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "apache-2.0": "Apache-2.0",
    "curl": "curl", "zlib": "Zlib", "isc": "ISC", "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-2+": "LGPL-2.0-or-later", "lgpl-3+": "LGPL-3.0-or-later", "gpl-2": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later",
}


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def libraries(binary):
    """(names the binary itself needs, {name: path} of all that are loaded, at once or late)."""
    late = late_libraries(binary)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", binary))) | set(late)
    loaded = dict(late)
    for file in (binary, *late.values()):
        loaded.update(re.findall(r"^\s*(\S+) => (/\S+) \(", output("ldd", file), re.MULTILINE))
    return needed, loaded


def headers(binary, build):
    """Headers outside the tree that the binary's own objects were compiled with."""
    inputs = set(output("ninja", "-C", build, "-t", "inputs", Path(binary).name).split("\n"))
    found, ours = set(), False
    for line in output("ninja", "-C", build, "-t", "deps").split("\n"):
        if line.startswith(" "):
            if ours and line.strip().startswith("/usr/"):
                found.add(line.strip())
        else:
            ours = line.split(":")[0] in inputs
    return found


def owners(paths):
    """{path: package} by dpkg, which knows files by where they were installed: /lib may be a link to /usr/lib."""
    spellings = {}
    for path in paths:
        for known in (path, os.path.realpath(path), os.path.realpath(path).removeprefix("/usr"), "/usr" + path):
            spellings[known] = path
    found = {}
    told = subprocess.run(["dpkg", "-S", *sorted(spellings)], capture_output=True, text=True, check=False).stdout
    for line in told.splitlines():
        package, _, path = line.rpartition(": ")
        if path in spellings and "," not in package and "diversion" not in package:
            found[spellings[path]] = package
    return found


def about(package):
    fields = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${Homepage}\t${Maintainer}"
    names = ("name", "version", "architecture", "source", "homepage", "maintainer")
    return dict(zip(names, output("dpkg-query", "-W", "-f", fields, package).split("\t"), strict=True))


def licences(name):
    """Of everything in the source package but its packaging, by the machine-readable copyright file; empty if it is not."""
    try:
        text = Path(f"/usr/share/doc/{name}/copyright").read_text(errors="replace")
    except OSError:
        return set()
    files = re.findall(r"^Files:\s*(.*?)^License:[ \t]*(.+?)$", text, re.MULTILINE | re.DOTALL)
    return {said.strip() for of, said in files if not of.startswith("debian/")}


def spdx_package(facts, distribution):
    said = sorted(licences(facts["name"]))
    package = {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", facts["name"]),
        "name": facts["name"],
        "versionInfo": facts["version"],
        "supplier": "Organization: " + re.sub(r"\s*<.*", "", facts["maintainer"]),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        # Which of several holds for the library, only people can tell.
        "licenseDeclared": LICENCES.get(said[0].lower(), "NOASSERTION") if len(said) == 1 else "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/{distribution}/{facts['name']}@{facts['version'].replace(':', '%3A').replace('+', '%2B')}?arch={facts['architecture']}",
        }],
    }
    if facts["homepage"]:
        package["homepage"] = facts["homepage"]
    if said and package["licenseDeclared"] == "NOASSERTION":
        package["licenseComments"] = f"in the source package's copyright file: {'; '.join(said)}"
    return package


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, build = sys.argv[1:]
    needed, loaded = libraries(binary)
    by_library = owners(loaded.values())
    if unowned := sorted(set(loaded.values()) - set(by_library)):
        sys.exit(f"no package owns {', '.join(unowned)}")
    direct = {by_library[path] for name, path in loaded.items() if name in needed}
    facts = {package: about(package) for package in set(by_library.values())}
    sources = {known["source"] for known in facts.values()}
    compiled_in = {}
    for package in sorted(set(owners(headers(binary, build)).values())):
        known = about(package)
        # The C library's and the kernel's headers are interfaces, not code that becomes part of the binary.
        if known["source"] not in sources and known["source"] not in ("linux", "glibc"):
            compiled_in[package] = known

    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    digest = hashlib.sha256(Path(binary).read_bytes()).hexdigest()
    version = output(binary, "--version").split()[-1]
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now(timezone.utc).timestamp())), timezone.utc)
    root = "SPDXRef-wirespan"
    relationships = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": root}]
    packages = [{
        "SPDXID": root, "name": "wirespan", "versionInfo": version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}], "primaryPackagePurpose": "APPLICATION",
    }]
    for package, known in sorted({**facts, **compiled_in}.items()):
        packages.append(spdx_package(known, release.get("ID", "debian")))
        relation = "STATIC_LINK" if package in compiled_in else "DYNAMIC_LINK" if package in direct else "DEPENDS_ON"
        relationships.append({"spdxElementId": root, "relationshipType": relation, "relatedSpdxElement": packages[-1]["SPDXID"]})
    print(json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"wirespan-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/wirespan-{version}-{digest[:32]}",
        "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: wirespan-sbom"]},
        "packages": packages, "relationships": relationships,
    }, indent=1))


if __name__ == "__main__":
    main()
