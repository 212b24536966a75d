"""`./dev sbom`: well-formed SPDX, and it names what the binary needs."""

import json
import re
import subprocess

import pytest

from harness.agent import BINARY
from harness.stack import ROOT


@pytest.fixture(scope="module")
def document():
    command = ["python3", ROOT / "dev.d/sbom.py", BINARY, BINARY.parent]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_has_what_spdx_asks_for(document):
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    assert {"created", "creators"} <= document["creationInfo"].keys()
    ids = [package["SPDXID"] for package in document["packages"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name) for name in ids)
    assert all({"name", "versionInfo", "downloadLocation"} <= package.keys() for package in document["packages"])
    for relationship in document["relationships"]:
        assert relationship["spdxElementId"] in ("SPDXRef-DOCUMENT", "SPDXRef-wirespan")
        assert relationship["relatedSpdxElement"] in ids


def test_names_libraries_loaded_and_headers_compiled_in(document):
    kinds = {r["relatedSpdxElement"].removeprefix("SPDXRef-"): r["relationshipType"] for r in document["relationships"]}
    links = [name for name, kind in kinds.items() if kind == "DYNAMIC_LINK"]
    for prefix in ("libbpf", "libelf", "libdw", "libcurl", "libcapstone", "libseccomp", "libyaml-cpp", "libevent-core", "libc6"):
        assert any(name.startswith(prefix) for name in links), (prefix, links)
    assert {name for name, kind in kinds.items() if kind == "STATIC_LINK"} >= {"nlohmann-json3-dev", "libcli11-dev"}
    assert not any("gtest" in name for name in kinds)
