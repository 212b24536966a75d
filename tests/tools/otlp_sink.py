#!/usr/bin/env python3
"""A strict OTLP trace receiver for tests: refuses what a lenient one would swallow, and fails on request.

Needs PyPI grpcio, opentelemetry-proto and protobuf. `./dev test` puts them into build/venv; by hand:
    python3 -m venv build/venv && build/venv/bin/pip install -r tests/tools/requirements.txt
    build/venv/bin/python tests/tools/otlp_sink.py --out spans.jsonl

Listens on 127.0.0.1 (port 0: any free one) and prints one line of JSON when it does: {"grpc": PORT, "http": PORT}.
Takes OTLP/gRPC, OTLP/HTTP protobuf and OTLP/HTTP JSON (POST /v1/traces), plain or gzip, with TLS and mTLS.
Each request that passes is a line of OTLP/JSON in --out, as the Collector's file exporter writes it. A request with
anything wrong is answered with 400 or INVALID_ARGUMENT and a line in --rejected, and makes the exit status 1.
GET /stats on the HTTP port: {"spans", "requests", "rejected", "duplicates", "failed", "by": {transport: requests}}.

--fail makes the next requests fail, in the order given: [COUNT*]MODE[,OPTION=VALUE]...; COUNT may be "inf".
    503 (any HTTP status; for gRPC the code it maps to), 503,retry-after=2 (gRPC: RetryInfo)
    UNAVAILABLE (any gRPC code; for HTTP 503 or 400 by whether it may be retried), RESOURCE_EXHAUSTED,retry-after=0.1
    hang            never answers
    slow,delay=0.5  answers late
    reset           closes the connection without an answer (gRPC: ABORTED)
    partial=3       takes the batch but says that 3 spans were rejected; all of them are in --out
    ok              takes it: what comes after fails later
"""

import argparse
import base64
import gzip
import json
import os
import signal
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a refused handshake is what some tests want
import grpc  # noqa: E402
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
HTTP_TO_GRPC = {400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED", 413: "RESOURCE_EXHAUSTED",
                429: "UNAVAILABLE", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE"}
RETRYABLE = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", "RESOURCE_EXHAUSTED"}


class Wrong(Exception):
    """What is wrong with a request."""


# --- strictness ------------------------------------------------------------------------------------------------------


def need(condition, what):
    if not condition:
        raise Wrong(what)


def check_known(message, where):
    """No field this version of OTLP does not have, at any depth."""
    need(len(UnknownFieldSet(message)) == 0, f"{where}: unknown field")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in value if field.is_repeated else [value]:
            check_known(child, f"{where}.{field.name}")


def check_value(value, where):
    kind = value.WhichOneof("value")
    need(kind is not None, f"{where}: no value")
    if kind == "array_value":
        kinds = {item.WhichOneof("value") for item in value.array_value.values}
        need(len(kinds) <= 1, f"{where}: mixed array")
        for item in value.array_value.values:
            check_value(item, where)
    if kind == "kvlist_value":
        check_attributes(value.kvlist_value.values, where)


def check_attributes(attributes, where):
    seen = set()
    for pair in attributes:
        need(pair.key != "", f"{where}: empty attribute key")
        need(pair.key not in seen, f"{where}: attribute {pair.key} twice")
        seen.add(pair.key)
        check_value(pair.value, f"{where}.{pair.key}")


def check_id(value, length, where):
    need(len(value) == length, f"{where}: {len(value)} bytes, not {length}")
    need(any(value), f"{where}: all zero")


def check_trace_state(text, where):
    """W3C Trace Context level 2, 3.3.1: at most 32 list members key=value, no key twice."""
    if not text:
        return
    keys = []
    for member in text.split(","):
        member = member.strip(" \t")
        if not member:
            continue
        key, equals, value = member.partition("=")
        need(equals and key and len(key) <= 256 and len(value) <= 256, f"{where}: trace_state member {member!r}")
        need(all(0x20 <= ord(c) <= 0x7E for c in value), f"{where}: trace_state value {value!r}")
        keys.append(key)
    need(len(keys) == len(set(keys)) and len(keys) <= 32, f"{where}: trace_state keys")


def check_span(span, resource):
    where = f"span {span.name!r} of {resource}"
    check_id(span.trace_id, 16, f"{where}: trace_id")
    check_id(span.span_id, 8, f"{where}: span_id")
    if span.parent_span_id:
        check_id(span.parent_span_id, 8, f"{where}: parent_span_id")
        need(span.parent_span_id != span.span_id, f"{where}: its own parent")
    need(span.name.strip(), f"{where}: no name")
    need(1 <= span.kind <= 5, f"{where}: kind {span.kind}")
    need(span.start_time_unix_nano >= 10**18, f"{where}: starts before 2001")
    need(span.start_time_unix_nano <= time.time_ns() + 3600 * 10**9, f"{where}: starts in the future")
    need(span.end_time_unix_nano >= span.start_time_unix_nano, f"{where}: ends before it starts")
    need(span.flags <= 0x3FF, f"{where}: flags {span.flags:#x}")
    need(not span.flags & 0x200 or span.flags & 0x100, f"{where}: is_remote without has_is_remote")
    need(0 <= span.status.code <= 2, f"{where}: status {span.status.code}")
    check_trace_state(span.trace_state, where)
    check_attributes(span.attributes, where)
    for event in span.events:
        need(event.name, f"{where}: event without a name")
        need(event.time_unix_nano >= 10**18, f"{where}: event {event.name}: time")
        check_attributes(event.attributes, f"{where}: event {event.name}")
    for link in span.links:
        check_id(link.trace_id, 16, f"{where}: link: trace_id")
        check_id(link.span_id, 8, f"{where}: link: span_id")
        check_attributes(link.attributes, f"{where}: link")
    method = [a for a in span.attributes if a.key == "wirespan.link.method"]
    confidence = [a for a in span.attributes if a.key == "wirespan.link.confidence"]
    need(len(method) == len(confidence), f"{where}: wirespan.link.method without confidence, or the reverse")
    for attribute in confidence:
        need(attribute.value.WhichOneof("value") == "double_value", f"{where}: confidence is not a double")
        need(0 <= attribute.value.double_value <= 1, f"{where}: confidence {attribute.value.double_value}")


def check_request(request):
    check_known(request, "request")
    need(request.resource_spans, "no resource_spans")
    for group in request.resource_spans:
        attributes = group.resource.attributes
        check_attributes(attributes, "resource")
        service = next((a.value.string_value for a in attributes if a.key == "service.name"), "")
        need(service, "resource: no service.name")
        need(group.scope_spans, f"resource {service}: no scope_spans")
        for scope in group.scope_spans:
            need(scope.scope.name, f"resource {service}: scope without a name")
            need(scope.spans, f"resource {service}: scope without spans")
            for span in scope.spans:
                check_span(span, service)


# --- OTLP/JSON -------------------------------------------------------------------------------------------------------

HEX_FIELDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
INTEGERS_IN_QUOTES = {"startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "intValue"}


def no_key_twice(pairs):
    keys = [key for key, _ in pairs]
    need(len(keys) == len(set(keys)), f"JSON: a key twice among {keys}")
    return dict(pairs)


def to_proto_json(value):
    """OTLP's JSON into proto3's: hexadecimal ids become base64. Refuses what only a lenient reader takes."""
    if isinstance(value, list):
        return [to_proto_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, inner in value.items():
        need("_" not in key, f"JSON: {key} is not lowerCamelCase")
        if key in HEX_FIELDS:
            need(isinstance(inner, str) and len(inner) == 2 * HEX_FIELDS[key] and set(inner) <= set("0123456789abcdef"),
                 f"JSON: {key} {inner!r} is not {HEX_FIELDS[key]} bytes of lower-case hexadecimal")
            inner = base64.b64encode(bytes.fromhex(inner)).decode()
        elif key in INTEGERS_IN_QUOTES:
            need(isinstance(inner, str) and inner.lstrip("-").isdigit(), f"JSON: {key} {inner!r} is not an integer in quotes")
        elif key in ("kind", "code"):
            need(isinstance(inner, int), f"JSON: {key} {inner!r} is not an integer")
        else:
            inner = to_proto_json(inner)
        out[key] = inner
    return out


def parse_json(body):
    try:
        decoded = json.loads(body.decode("utf-8"), object_pairs_hook=no_key_twice)
        return json_format.ParseDict(to_proto_json(decoded), trace_service_pb2.ExportTraceServiceRequest())
    except (UnicodeDecodeError, ValueError, json_format.ParseError) as error:
        raise Wrong(f"JSON: {error}") from error


def to_otlp_json(request):
    """As the Collector's file exporter writes it: proto3's JSON with hexadecimal ids and integer enums."""

    def hexadecimal(value):
        if isinstance(value, list):
            return [hexadecimal(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: base64.b64decode(inner).hex() if key in HEX_FIELDS else hexadecimal(inner) for key, inner in value.items()}

    return hexadecimal(json_format.MessageToDict(request, use_integers_for_enums=True))


# --- failing on request ----------------------------------------------------------------------------------------------


class Failure:
    def __init__(self, text):
        count, star, mode = text.partition("*")
        if not star:
            count, mode = "1", text
        self.left = float("inf") if count == "inf" else int(count)
        name, *options = mode.split(",")
        self.options = dict(option.split("=", 1) for option in options)
        self.name, _, argument = name.partition("=")
        self.partial = int(argument) if self.name == "partial" else 0
        known = self.name.isdigit() or self.name in ("hang", "slow", "reset", "partial", "ok") or hasattr(grpc.StatusCode, self.name)
        if not known:
            raise argparse.ArgumentTypeError(f"{text!r}: {self.name!r} is no way to fail")

    @property
    def retry_after(self):
        return self.options.get("retry-after")

    @property
    def http_status(self):
        if self.name.isdigit():
            return int(self.name)
        return 503 if self.name in RETRYABLE else 400

    @property
    def grpc_code(self):
        if self.name.isdigit():
            return getattr(grpc.StatusCode, HTTP_TO_GRPC.get(int(self.name), "UNKNOWN"))
        return getattr(grpc.StatusCode, self.name, grpc.StatusCode.ABORTED)


# --- the receiver ----------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self, options):
        self.lock = threading.Lock()
        self.failures = list(options.fail)
        self.out = open(options.out, "a", encoding="utf-8", buffering=1) if options.out else None
        self.rejected_file = open(options.rejected, "a", encoding="utf-8", buffering=1) if options.rejected else sys.stderr
        self.seen = set()
        self.stats = {"spans": 0, "requests": 0, "rejected": 0, "duplicates": 0, "failed": 0, "by": dict.fromkeys(TRANSPORTS, 0)}
        self.stopping = threading.Event()

    def next_failure(self):
        with self.lock:
            while self.failures and self.failures[0].left <= 0:
                self.failures.pop(0)
            if not self.failures:
                return None
            self.failures[0].left -= 1
            failure = self.failures[0]
            if failure.name == "ok":
                return None
            self.stats["failed"] += failure.name != "slow"
            return failure

    def take(self, request, transport):
        """Raises Wrong; returns how many spans came."""
        try:
            check_request(request)
        except Wrong as wrong:
            self.reject(transport, wrong)
            raise
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        line = json.dumps(to_otlp_json(request), ensure_ascii=False, separators=(",", ":"))
        with self.lock:
            self.stats["requests"] += 1
            self.stats["by"][transport] += 1
            self.stats["spans"] += len(spans)
            ids = {(span.trace_id, span.span_id) for span in spans}
            self.stats["duplicates"] += len(spans) - len(ids - self.seen)
            self.seen |= ids
            if self.out:
                self.out.write(line + "\n")
        return len(spans)

    def reject(self, transport, wrong):
        with self.lock:
            self.stats["rejected"] += 1
            self.rejected_file.write(f"{transport}: {wrong}\n")
            self.rejected_file.flush()


def response_with(rejected, message=""):
    response = trace_service_pb2.ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message or "rejected on request"
    return response


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def rpc_status(code, message, retry_after=None):
    """google.rpc.Status, by hand: its classes are in a package of their own."""
    status = varint(1 << 3) + varint(code) + field(2, message.encode())
    if retry_after is not None:
        seconds, nanos = divmod(int(float(retry_after) * 1e9), 10**9)
        duration = varint(1 << 3) + varint(seconds) + varint(2 << 3) + varint(nanos)
        info = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, duration))
        status += field(3, info)
    return status


class GrpcService(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, sink):
        self.sink = sink

    def Export(self, request, context):
        failure = self.sink.next_failure()
        if failure and failure.name == "hang":
            self.sink.stopping.wait()
        elif failure and failure.name == "slow":
            time.sleep(float(failure.options.get("delay", 1)))
        elif failure and not failure.partial:
            code = failure.grpc_code
            details = rpc_status(code.value[0], "failed on request: 100% \u20ac", failure.retry_after)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(code, "failed on request: 100% \u20ac")
        try:
            self.sink.take(request, "grpc")
        except Wrong as wrong:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(wrong))
        return response_with(failure.partial if failure else 0)


class HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sink = None
    MOST = 64 << 20

    def log_message(self, *_):
        pass

    def answer(self, status, body, content_type, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/stats":
            return self.answer(404, b"", "text/plain")
        with self.sink.lock:
            body = json.dumps(self.sink.stats).encode()
        return self.answer(200, body, "application/json")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "-1"))
        if not 0 <= length <= self.MOST:
            self.close_connection = True
            return self.answer(411 if length < 0 else 413, b"", "text/plain")
        body = self.rfile.read(length)
        content_type = self.headers.get("Content-Type", "")
        is_json = content_type == "application/json"
        transport = "http/json" if is_json else "http/protobuf"
        failure = self.sink.next_failure()
        if failure and failure.name == "hang":
            self.sink.stopping.wait()
            self.close_connection = True
            return None
        if failure and failure.name == "reset":
            self.close_connection = True
            return None
        if failure and failure.name == "slow":
            time.sleep(float(failure.options.get("delay", 1)))
        elif failure and not failure.partial:
            headers = [("Retry-After", failure.retry_after)] if failure.retry_after is not None else []
            return self.refuse(failure.http_status, "failed on request", is_json, headers)
        try:
            if self.path != "/v1/traces":
                return self.refuse(404, f"no receiver at {self.path}", is_json)
            if content_type not in ("application/json", "application/x-protobuf"):
                self.sink.reject(transport, Wrong(f"Content-Type {content_type!r}"))
                return self.refuse(415, f"Content-Type {content_type!r}", is_json)
            request = self.parse(body, is_json)
            self.sink.take(request, transport)
        except Wrong as wrong:
            return self.refuse(400, str(wrong), is_json)
        response = response_with(failure.partial if failure else 0)
        if is_json:
            return self.answer(200, json_format.MessageToJson(response, indent=None).encode(), "application/json")
        return self.answer(200, response.SerializeToString(), "application/x-protobuf")

    def parse(self, body, is_json):
        encoding = self.headers.get("Content-Encoding", "identity")
        try:
            need(encoding in ("identity", "gzip"), f"Content-Encoding {encoding!r}")
            if encoding == "gzip":
                body = gzip.decompress(body)
            return parse_json(body) if is_json else trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        except (OSError, EOFError, DecodeError, Wrong) as error:
            self.sink.reject("http/json" if is_json else "http/protobuf", error)
            raise Wrong(str(error)) from error

    def refuse(self, status, message, is_json, headers=()):
        if is_json:
            return self.answer(status, json.dumps({"code": 3, "message": message}).encode(), "application/json", headers)
        return self.answer(status, rpc_status(3, message), "application/x-protobuf", headers)


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    tls = None

    def finish_request(self, request, client_address):
        # The handshake here, in the connection's own thread: a client that does not finish it stops nobody else.
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


def start_grpc(sink, options):
    server = grpc.server(ThreadPoolExecutor(16), options=(("grpc.so_reuseport", 0),))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(GrpcService(sink), server)
    address = f"127.0.0.1:{options.grpc_port}"
    if options.tls_cert:
        read = lambda path: open(path, "rb").read() if path else None  # noqa: E731
        credentials = grpc.ssl_server_credentials([(read(options.tls_key), read(options.tls_cert))], read(options.client_ca),
                                                  require_client_auth=bool(options.client_ca))
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    return server, port


def start_http(sink, options):
    handler = type("Handler", (HttpHandler,), {"sink": sink})
    server = HttpServer(("127.0.0.1", options.http_port), handler)
    if options.tls_cert:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(options.tls_cert, options.tls_key)
        if options.client_ca:
            server.tls.verify_mode = ssl.CERT_REQUIRED
            server.tls.load_verify_locations(options.client_ca)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="file for accepted requests, appended to")
    parser.add_argument("--rejected", help="file for what was wrong (default: stderr)")
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--fail", action="append", default=[], type=Failure, metavar="[COUNT*]MODE")
    parser.add_argument("--tls-cert", help="PEM; both ports speak TLS then")
    parser.add_argument("--tls-key")
    parser.add_argument("--client-ca", help="PEM; clients need a certificate it signed")
    options = parser.parse_args()

    sink = Sink(options)
    # Taken by sigwait: a signal that the kernel gives to one of gRPC's threads wakes no handler of Python's, and whoever
    # waits for this process then waits for ever.
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    grpc_server, grpc_port = start_grpc(sink, options)
    http_server, http_port = start_http(sink, options)
    print(json.dumps({"grpc": grpc_port, "http": http_port}), flush=True)
    signal.sigwait(stop)
    sink.stopping.set()
    http_server.shutdown()
    # Now and then gRPC's own threads never end, and whoever waits for this process waits for ever.
    grpc_server.stop(1).wait(10)
    print(json.dumps(sink.stats), file=sys.stderr, flush=True)
    os._exit(1 if sink.stats["rejected"] else 0)


if __name__ == "__main__":
    main()
