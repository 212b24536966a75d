#!/usr/bin/env python3
"""Makes the recordings in agent/protocols/http1/testdata: real servers and clients, unmodified, talk through
http_relay_record.py.

  http_conversations.py OUTDIR [NAME...]      NAME: nginx apache node go java gunicorn php clients

Needs what it records: nginx, apache2, node, go, javac, php, gunicorn with flask, curl, wrk, hey, ab. What is not
installed is left out and said. Loopback only; stops what it started.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from http_relay_record import Relay

BIG = "0123456789abcdef" * 190  # 3040 bytes: more than is captured of a turn by default


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@contextlib.contextmanager
def process(args, port, **kwargs):
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **kwargs)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if p.poll() is not None:
                raise RuntimeError(f"{args[0]} ended with {p.returncode}")
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{args[0]} does not listen")
        yield p
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()


def run(*args, **kwargs):
    subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False, **kwargs)


def version(*args):
    out = subprocess.run(args, capture_output=True, text=True, check=False)
    return (out.stdout + out.stderr).strip().splitlines()[0]


# --- servers ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nginx(tmp):
    port = free_port()
    www = tmp / "www"
    www.mkdir()
    (www / "index.html").write_text("hello\n")
    (www / "big").write_text(BIG)
    (www / "stream").write_text(BIG)
    (tmp / "nginx.conf").write_text(f"""
worker_processes 1; pid {tmp}/pid; error_log stderr; daemon off;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp};
  uwsgi_temp_path {tmp}; scgi_temp_path {tmp}; default_type text/plain; gzip on; gzip_min_length 1;
  gzip_types text/plain;
  server {{
    listen 127.0.0.1:{port}; root {www};
    location /users/ {{ return 200 "user\n"; }}
    location /upload {{ proxy_pass http://127.0.0.1:{port}/users/1; }}
    location /empty {{ return 204; }}
    location /error {{ return 500; }}
  }}
}}""")
    with process([shutil.which("nginx"), "-c", str(tmp / "nginx.conf"), "-p", str(tmp)], port):
        yield port, version("nginx", "-v")


@contextlib.contextmanager
def apache(tmp):
    port = free_port()
    www = tmp / "www"
    (www / "users").mkdir(parents=True)
    (www / "index.html").write_text("hello\n")
    (www / "users" / "42").write_text("user\n")
    (www / "big").write_text(BIG)
    (www / "stream").write_text(BIG)
    (www / "upload").write_text("ok\n")
    modules = pathlib.Path("/usr/lib/apache2/modules")
    load = "\n".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so"
        for name in ["mpm_event", "authz_core", "dir", "deflate", "filter", "proxy", "proxy_connect", "alias"]
        if (modules / f"mod_{name}.so").exists()
    )
    (tmp / "apache.conf").write_text(f"""
{load}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {tmp}/pid
ErrorLog {tmp}/error.log
DocumentRoot {www}
KeepAliveTimeout 2
<Location /stream>
SetOutputFilter DEFLATE
</Location>
Redirect 500 /error
Redirect 204 /empty
ProxyRequests On
AllowCONNECT 1-65535
""")
    with process(["/usr/sbin/apache2", "-f", str(tmp / "apache.conf"), "-DFOREGROUND"], port):
        yield port, version("/usr/sbin/apache2", "-v")


NODE = """
const http = require('http'), net = require('net');
const big = '0123456789abcdef'.repeat(190);
const s = http.createServer((q, r) => {
  const path = q.url.split('?')[0];
  if (path === '/big') return r.end(big);
  if (path === '/stream') { for (let i = 0; i < 4; i++) r.write(big.slice(0, 700)); return r.end(); }
  if (path === '/empty') { r.statusCode = 204; return r.end(); }
  if (path === '/error') { r.statusCode = 500; return r.end('no'); }
  if (path === '/early') { r.statusCode = 413; r.setHeader('Content-Length', 2); return r.end('no'); }
  if (path === '/hints') r.writeEarlyHints({link: '</a.css>; rel=preload'});
  if (path === '/trailer') { r.setHeader('Trailer', 'X-Sum'); r.write('abc'); r.addTrailers({'X-Sum': '9'}); return r.end(); }
  if (path === '/slow') return setTimeout(() => r.end('slow'), 60);
  if (path === '/upload') { let n = 0; q.on('data', d => n += d.length); return q.on('end', () => r.end('' + n)); }
  if (path.startsWith('/users/') || path === '/hints' || path === '/') return r.end('user ' + path);
  r.statusCode = 404; r.end('none');
});
s.on('upgrade', (q, c) => { c.on('error', () => 0);
  c.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n\\x81\\x05hello');
  c.on('data', d => { c.write(d); c.end(); }); });
s.on('connect', (q, c, head) => { const [h, p] = q.url.split(':'); const u = net.connect(+p, h, () => {
  c.write('HTTP/1.1 200 Connection Established\\r\\n\\r\\n'); u.write(head); u.pipe(c); c.pipe(u); });
  u.on('error', () => c.destroy()); c.on('error', () => u.destroy()); });
s.listen(+process.argv[2], '127.0.0.1');
"""


@contextlib.contextmanager
def node(tmp):
    port = free_port()
    (tmp / "s.js").write_text(NODE)
    with process(["node", str(tmp / "s.js"), str(port)], port):
        yield port, "node " + version("node", "--version")


GO_SERVER = """package main
import ("fmt"; "io"; "net/http"; "os"; "strings"; "time")
func main() {
  big := strings.Repeat("0123456789abcdef", 190)
  http.HandleFunc("/users/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "user ", r.URL.Path) })
  http.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) })
  http.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
    for i := 0; i < 4; i++ { io.WriteString(w, big[:700]); w.(http.Flusher).Flush() } })
  http.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
  http.HandleFunc("/error", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
  http.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) })
  http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { time.Sleep(60 * time.Millisecond); io.WriteString(w, "slow") })
  http.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) { n, _ := io.Copy(io.Discard, r.Body); fmt.Fprint(w, n) })
  http.ListenAndServe("127.0.0.1:" + os.Args[1], nil)
}
"""
GO_CLIENT = """package main
import ("bytes"; "io"; "net/http"; "os"; "strings"; "sync")
func main() {
  base := "http://127.0.0.1:" + os.Args[1]
  get := func(p string) { if r, err := http.Get(base + p); err == nil { io.Copy(io.Discard, r.Body); r.Body.Close() } }
  get("/users/1001?token=abc"); get("/users/1002"); get("/stream"); get("/nothing")
  if r, err := http.Post(base + "/upload", "text/plain", bytes.NewReader(bytes.Repeat([]byte("p"), 3000))); err == nil { io.Copy(io.Discard, r.Body); r.Body.Close() }
  if r, err := http.Post(base + "/upload", "text/plain", io.MultiReader(strings.NewReader("ab"), strings.NewReader("cd"))); err == nil { io.Copy(io.Discard, r.Body); r.Body.Close() }
  q, _ := http.NewRequest("PURGE", base + "/users/7", nil)
  q.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
  if r, err := http.DefaultClient.Do(q); err == nil { r.Body.Close() }
  var w sync.WaitGroup
  for i := 0; i < 3; i++ { w.Add(1); go func() { get("/slow"); w.Done() }() }
  w.Wait()
}
"""


def build_go(tmp, source, name):
    folder = tmp / name
    folder.mkdir()
    (folder / "main.go").write_text(source)
    (folder / "go.mod").write_text("module m\ngo 1.20\n")
    subprocess.run(["go", "build", "-o", str(tmp / (name + ".bin"))], cwd=folder, check=True,
                   env={**os.environ, "GOFLAGS": "-buildvcs=false", "GOCACHE": str(tmp / "gocache")})
    return str(tmp / (name + ".bin"))


@contextlib.contextmanager
def go(tmp):
    port = free_port()
    with process([build_go(tmp, GO_SERVER, "server"), str(port)], port):
        yield port, version("go", "version")


JAVA_SERVER = """import com.sun.net.httpserver.*; import java.net.*; import java.util.concurrent.*;
public class S { public static void main(String[] a) throws Exception {
  HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(a[0])), 0);
  String big = "0123456789abcdef".repeat(190);
  s.createContext("/", x -> { String p = x.getRequestURI().getPath(); byte[] in = x.getRequestBody().readAllBytes();
    int code = p.equals("/error") ? 500 : p.equals("/empty") ? 204 : p.equals("/nothing") ? 404 : 200;
    byte[] out = (p.equals("/big") || p.equals("/stream") ? big : p.equals("/upload") ? "" + in.length : "user " + p).getBytes();
    try { if (p.equals("/slow")) Thread.sleep(60); } catch (InterruptedException e) { }
    boolean none = code == 204 || x.getRequestMethod().equals("HEAD");
    x.sendResponseHeaders(code, none ? -1 : p.equals("/stream") ? 0 : out.length);
    if (!none) x.getResponseBody().write(out); x.close(); });
  s.setExecutor(Executors.newFixedThreadPool(4)); s.start(); } }
"""
JAVA_CLIENT = """import java.net.*; import java.net.http.*; import java.util.*;
public class C { public static void main(String[] a) throws Exception {
  HttpClient c = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build(); String b = "http://127.0.0.1:" + a[0];
  var h = HttpResponse.BodyHandlers.ofString();
  for (String p : List.of("/users/1001?token=abc", "/stream", "/nothing"))
    c.send(HttpRequest.newBuilder(URI.create(b + p)).header("X-Request-ID", "req-77003311").build(), h);
  c.send(HttpRequest.newBuilder(URI.create(b + "/upload")).POST(HttpRequest.BodyPublishers.ofString("p".repeat(3000))).build(), h);
  c.send(HttpRequest.newBuilder(URI.create(b + "/upload")).POST(HttpRequest.BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(new byte[100]))).build(), h);
  HttpURLConnection u = (HttpURLConnection) new URL(b + "/big").openConnection(); u.getInputStream().readAllBytes();
  c.sendAsync(HttpRequest.newBuilder(URI.create(b + "/slow")).build(), h).join(); } }
"""


def build_java(tmp, source, name):
    (tmp / (name + ".java")).write_text(source)
    subprocess.run(["javac", "-d", str(tmp), str(tmp / (name + ".java"))], check=True)


@contextlib.contextmanager
def java(tmp):
    port = free_port()
    build_java(tmp, JAVA_SERVER, "S")
    with process(["java", "-Xmx64m", "-cp", str(tmp), "S", str(port)], port):
        yield port, version("java", "-version")


FLASK = """
from flask import Flask, Response, request
app = Flask(__name__)
big = '0123456789abcdef' * 190
app.route('/users/<name>', endpoint='users')(lambda name: 'user ' + name)
app.route('/big', endpoint='big')(lambda: big)
app.route('/stream', endpoint='stream')(lambda: Response(big[:700] for _ in range(4)))
app.route('/empty', endpoint='empty')(lambda: ('', 204))
app.route('/error', endpoint='error')(lambda: ('no', 500))
@app.route('/upload', methods=['POST', 'PUT'])
def upload(): return str(len(request.get_data()))
"""


@contextlib.contextmanager
def gunicorn(tmp):
    port = free_port()
    (tmp / "app.py").write_text(FLASK)
    program = os.environ.get("GUNICORN", shutil.which("gunicorn") or "gunicorn")
    with process([program, "-b", f"127.0.0.1:{port}", "-w", "1", "--threads", "2", "--keep-alive", "2", "app:app"], port,
                 cwd=tmp):
        yield port, version(program, "--version")


PHP = """<?php
$p = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($p === '/error') http_response_code(500);
if ($p === '/empty') { http_response_code(204); exit; }
if ($p === '/nothing') http_response_code(404);
if ($p === '/big') { echo str_repeat('0123456789abcdef', 190); exit; }
if ($p === '/stream') { for ($i = 0; $i < 4; $i++) { echo str_repeat('x', 700); flush(); } exit; }
echo 'user ', $p, strlen(file_get_contents('php://input'));
"""


@contextlib.contextmanager
def php(tmp):
    port = free_port()
    (tmp / "index.php").write_text(PHP)
    with process(["php", "-S", f"127.0.0.1:{port}", str(tmp / "index.php")], port):
        yield port, version("php", "-v")


# --- clients ---------------------------------------------------------------------------------------------------------


def say(port, *parts, wait=0.15, until=0.4):
    """A client by hand: sends each part after a pause, then reads what comes."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        for part in parts:
            s.sendall(part)
            time.sleep(wait)
        s.settimeout(until)
        with contextlib.suppress(OSError):
            while s.recv(65536):
                pass


def curl(port, *args):
    run("curl", "-s", "--max-time", "10", *[a.replace("@", f"http://127.0.0.1:{port}") for a in args])


def usual(port):
    """What every server is asked."""
    curl(port, "@/users/42?token=secret&page=2", "@/users/43", "@/nothing")
    curl(port, "-d", "name=value", "@/upload")
    curl(port, "-d", "x" * 3000, "@/upload")
    curl(port, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-d", "y" * 1500, "@/upload")
    curl(port, "-H", "Expect: 100-continue", "-d", "z" * 2000, "@/upload")
    curl(port, "-I", "@/big")
    curl(port, "--compressed", "@/big", "@/stream", "@/users/44")
    curl(port, "@/stream", "@/big")
    curl(port, "-0", "@/stream")
    curl(port, "-H", "Connection: close", "@/users/45")
    curl(port, "@/empty", "@/error", "@/users/46")
    curl(port, "-X", "PROPFIND", "@/users/47", "@/users/47")
    curl(port, "-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "-H", "tracestate: a=1",
         "-H", "tracestate: b=2", "-H", "X-Request-Id: 5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11", "@/users/48")
    get = b"GET /users/%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    say(port, b"".join(get % i for i in range(501, 506)))
    say(port, b"GET /users/600 HT", b"TP/1.1\r\nHo", b"st: localhost\r\nX-Long: " + b"l" * 1400 + b"\r\n\r\n", get % 601)
    say(port, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
    say(port, b"nonsense\r\n\r\n")
    say(port, b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nonly this", until=0.1)


def node_only(port):
    curl(port, "@/hints", "@/trailer")
    say(port, b"GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"\x81\x02hi")
    say(port, b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n0123456789", b"0123456789")
    run("curl", "-s", "-p", "-x", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/users/tunnelled")


def apache_only(port):
    run("curl", "-s", "-p", "-x", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/users/42")
    curl(port, "-X", "TRACE", "@/users/42")
    with contextlib.suppress(OSError):
        curl(port, "-H", "Range: bytes=10-1200", "@/big")


NODE_CLIENT = """
const http = require('http'), agent = new http.Agent({keepAlive: true, maxSockets: 1}), port = +process.argv[2];
const ask = (path, method, body) => new Promise(done => { const q = http.request({port, host: '127.0.0.1', path, method, agent},
  r => { r.resume(); r.on('end', done); }); if (body) { q.write(body); q.write(body); } q.end(); });
(async () => { await ask('/users/1001?token=abc', 'GET'); await ask('/stream', 'GET'); await ask('/upload', 'POST', 'p'.repeat(800));
  await Promise.all([ask('/slow', 'GET'), ask('/users/2', 'GET'), ask('/users/3', 'HEAD')]);
  await (await fetch('http://127.0.0.1:' + port + '/users/1002')).text(); agent.destroy(); process.exit(0); })();
"""
PYTHON_CLIENT = """
import http.client, sys, urllib.request
c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))
for path in ('/users/1001?token=abc', '/stream', '/nothing'):
    c.request('GET', path); c.getresponse().read()
c.request('POST', '/upload', body=(b'p' * 500 for _ in range(3)), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
c.getresponse().read()
urllib.request.urlopen('http://127.0.0.1:' + sys.argv[1] + '/big').read()
"""
WRK_PIPELINE = """init = function(args) local r = {} for i = 1, 8 do r[i] = wrk.format("GET", "/slow?n=" .. i) end
req = table.concat(r) end request = function() return req end"""


def record(out, name, note, target, talk):
    relay = Relay(target)
    talk(relay.port)
    relay.stop()
    relay.write(out / (name + ".rec"), note)
    print(f"{name}: {len(relay.calls)} calls", flush=True)


def clients(tmp, out):
    (tmp / "c.js").write_text(NODE_CLIENT)
    (tmp / "c.py").write_text(PYTHON_CLIENT)
    (tmp / "p.lua").write_text(WRK_PIPELINE)
    build_java(tmp, JAVA_CLIENT, "C")
    go_client = build_go(tmp, GO_CLIENT, "client")
    # wrk has no count of requests: a server that takes 60 ms keeps the recording small.
    talks = {
        "wrk": (version("wrk", "-v"), lambda p: run("wrk", "-t1", "-c2", "-d1s", f"http://127.0.0.1:{p}/slow")),
        "wrk_pipeline": (version("wrk", "-v"), lambda p: run("wrk", "-t1", "-c1", "-d1s", "-s", str(tmp / "p.lua"),
                                                              f"http://127.0.0.1:{p}/slow")),
        "hey": ("hey", lambda p: run("hey", "-n", "6", "-c", "2", f"http://127.0.0.1:{p}/slow")),
        "ab": (version("ab", "-V"), lambda p: run("ab", "-n", "4", "-c", "2", "-k", f"http://127.0.0.1:{p}/users/9")),
        "node_client": (version("node", "--version"), lambda p: run("node", str(tmp / "c.js"), str(p))),
        "go_client": (version("go", "version"), lambda p: run(go_client, str(p))),
        "java_client": (version("java", "-version"), lambda p: run("java", "-cp", str(tmp), "C", str(p))),
        "python_client": (sys.version.split()[0], lambda p: run(sys.executable, str(tmp / "c.py"), str(p))),
    }
    with go(tmp) as (port, server):
        for name, (what, talk) in talks.items():
            record(out, name, f"server: {server}\nclient: {what}", port, talk)


SERVERS = {"nginx": nginx, "apache": apache, "node": node, "go": go, "java": java, "gunicorn": gunicorn, "php": php}
EXTRA = {"node": node_only, "apache": apache_only}


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:] or [*SERVERS, "clients"]
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            tmp = pathlib.Path(folder)
            tmp.chmod(0o755)
            if name == "clients":
                clients(tmp, out)
                continue
            try:
                with SERVERS[name](tmp) as (port, what):
                    note = f"server: {what}\nclient: {version('curl', '--version').split(' (')[0]}"
                    talk = EXTRA.get(name, lambda port: None)
                    record(out, name, note, port, lambda p: (usual(p), talk(p)))
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name}: left out: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
