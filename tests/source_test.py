"""Checks of the source itself: layers, format; and the tests of the layer check."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import check_layers  # noqa: E402


def test_layers_hold():
    assert list(check_layers.breaches(ROOT)) == []


def test_formatted():
    tool = shutil.which("clang-format-19") or pytest.skip("clang-format-19 is not installed: versions format differently")
    files = [p for folder in (*check_layers.FOLDERS, "tests", "bench") for p in (ROOT / folder).rglob("*") if p.suffix in check_layers.SUFFIXES]
    halves = [subprocess.Popen([tool, "--dry-run", "--Werror", *files[i::2]], stderr=subprocess.PIPE, text=True) for i in (0, 1)]
    said = [half.communicate()[1] for half in halves]
    assert [half.returncode for half in halves] == [0, 0], "./dev format\n" + "".join(said)[:2000]


# A tree with one file each; the key is the file, the value its text.
def breaches_of(tmp_path, files):
    (tmp_path / "cmake").mkdir()
    shutil.copy(ROOT / "cmake/Layers.cmake", tmp_path / "cmake")
    for folder in ("agent/protocols/http1", "agent/protocols/redis"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return list(check_layers.breaches(tmp_path))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("agent/streams/streams.cc", '#include "agent/pairing/pairer.h"\n'),
        ("base/result.cc", '#include "model/ids.h"\n'),
        ("model/ids.cc", '#include "bpf/abi/events.h"\n'),
        ("correlator/correlate.cc", '#include "agent/capture/source.h"\n'),
        ("agent/enrich/table.cc", '#include "bpf/core/maps.h"\n'),
        ("bpf/hooks/io.bpf.c", '#include "base/hash.h"\n'),
        ("agent/mystery/x.cc", "\n"),
        ("agent/protocols/http1/parse.cc", '#include "agent/protocols/redis/parse.h"\n'),
        ("exporters/otlp/send.cc", '#include "exporters/console/tree.h"\n'),
        ("correlator/correlate.cc", "#include <sys/socket.h>\n"),
        ("correlator/evidence/peer.cc", "#include <unistd.h>\n"),
        ("agent/pairing/pairer.cc", "bool is_http(int);\n"),
        ("agent/pairing/pairer.cc", "enum Kind { kHttp };\n"),
        ("correlator/correlate.cc", 'bool f(std::string_view p) { return p == "redis"; }\n'),
        ("bpf/hooks/io.bpf.c", "static int http_method(void);\n"),
        ("agent/pipeline.cc", "protocols::http::register_all();\n"),
    ],
    ids=lambda value: value.strip().replace("#include ", ""),
)
def test_a_breach_is_found(tmp_path, file, text):
    others = {
        name: ""
        for name in (
            "agent/pairing/pairer.h", "model/ids.h", "bpf/abi/events.h", "agent/capture/source.h", "bpf/core/maps.h", "base/hash.h",
            "agent/protocols/redis/parse.h", "exporters/console/tree.h",
        )
    }
    assert len(breaches_of(tmp_path, {**others, file: text})) == 1


def test_what_is_allowed(tmp_path):
    assert breaches_of(tmp_path, {
        "base/hash.h": "", "model/ids.h": '#include "base/hash.h"\n', "bpf/abi/events.h": "", "bpf/core/maps.h": '#include "bpf/abi/events.h"\n',
        "agent/capture/source.cc": '#include "bpf/abi/events.h"\n#include "model/ids.h"\n#include <sys/socket.h>\n',
        "agent/pipeline.cc": '#include "agent/capture/source.h"\n#include "correlator/correlate.h"\n',
        "agent/protocols/protocol.h": "", "agent/protocols/http1/parse.cc": '#include "agent/protocols/protocol.h"\nint http;\n',
        "exporters/otlp/send.cc": '#include "exporters/exporter.h"\n#include "exporters/queue/queue.h"\nint http_status;\n',
        "exporters/exporter.h": "", "exporters/queue/queue.h": "", "agent/protocols/common/route.h": "",
        "agent/pairing/pairer.cc": '// http is one\n/* redis */ auto key = "http.request.method"; int https;\n',
        "agent/pairing/pairer_test.cc": 'auto p = "http";\n',
        "tests/any.cc": '#include "agent/pipeline.h"\n',
    }) == []
