"""Makes model.json: what the OpenTelemetry semantic conventions say about the attributes wirespan writes.

    npm pack @opentelemetry/semantic-conventions@1.45.0 && tar xzf opentelemetry-semantic-conventions-1.45.0.tgz
    python3 make_model.py package > model.json

Names, stability, deprecation and enum values come from the package, which is generated from the registry. It has no types:
those are below, from the registry's pages, and a name that the package does not know is an error.
"""
import json
import re
import sys
from pathlib import Path

# "?" behind the type: the registry lists values, but others are allowed.
TYPES = {
    "client.address": "string", "client.port": "int",
    "container.id": "string", "container.name": "string",
    "deployment.environment.name": "string?",
    "error.type": "string?",
    "host.arch": "string?", "host.id": "string", "host.name": "string",
    "http.request.body.size": "int", "http.request.header": "string[] template", "http.request.method": "string",
    "http.request.method_original": "string", "http.request.resend_count": "int",
    "http.response.body.size": "int", "http.response.header": "string[] template", "http.response.status_code": "int",
    "http.route": "string",
    "k8s.pod.uid": "string",
    "network.local.address": "string", "network.local.port": "int", "network.peer.address": "string",
    "network.peer.port": "int", "network.protocol.name": "string", "network.protocol.version": "string",
    "network.transport": "string?", "network.type": "string?",
    "os.type": "string?", "os.version": "string",
    "process.command": "string", "process.executable.name": "string", "process.executable.path": "string",
    "process.owner": "string", "process.parent_pid": "int", "process.pid": "int", "process.runtime.name": "string",
    "process.runtime.version": "string",
    "server.address": "string", "server.port": "int",
    "service.instance.id": "string", "service.name": "string", "service.namespace": "string", "service.version": "string",
    "telemetry.distro.name": "string", "telemetry.distro.version": "string", "telemetry.sdk.language": "string",
    "telemetry.sdk.name": "string", "telemetry.sdk.version": "string",
    "url.full": "string", "url.path": "string", "url.query": "string", "url.scheme": "string", "url.template": "string",
    "user_agent.original": "string",
}

DECLARATION = re.compile(r'/\*\*((?:(?!\*/).)*)\*/\s*declare const (\w+): (?:"([^"]*)"|\(key: string\) => ([^;]*));', re.S)


def read(package: Path):
    """Attributes by constant: (name, stability, deprecation), and enum values by constant of their attribute."""
    attributes, values = {}, {}
    for stability in ("stable", "experimental"):
        text = (package / "dist" / f"{stability}_attributes.d.mts").read_text()
        for comment, constant, literal, _ in DECLARATION.findall(text):
            deprecated = re.search(r"@deprecated\s*(.*)", comment)
            if constant.startswith("ATTR_"):
                # A template's constant is a function: `http.request.header.${string}`, or just string.
                name = literal or constant[5:].lower().replace("_", ".")
                attributes[constant[5:]] = (name, stability, deprecated.group(1).strip() if deprecated else None)
            elif "_VALUE_" in constant and not deprecated:
                values.setdefault(constant.split("_VALUE_")[0], []).append(literal)
    return attributes, values


def main():
    package = Path(sys.argv[1])
    version = json.loads((package / "package.json").read_text())["version"]
    attributes, values = read(package)
    by_name = {name: (constant, stability, old) for constant, (name, stability, old) in attributes.items()}
    model = {"version": version, "source": f"npm @opentelemetry/semantic-conventions {version}", "attributes": {}}
    for name, kind in sorted(TYPES.items()):
        if name not in by_name:
            sys.exit(f"{name}: not in {package}")
        constant, stability, old = by_name[name]
        if old:
            sys.exit(f"{name}: deprecated: {old}")
        entry = {"type": kind.split()[0].rstrip("?"), "stability": stability}
        if "template" in kind:
            entry["template"] = True
        if constant in values:
            entry["values"] = sorted(values[constant])
            entry["open"] = kind.endswith("?")
        model["attributes"][name] = entry
    model["deprecated"] = {name: old for name, (_, _, old) in sorted(by_name.items())
                           if old and name.split(".")[0] in ("http", "net", "db", "messaging", "rpc", "enduser", "peer", "code")}
    json.dump(model, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
