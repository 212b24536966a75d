#!/usr/bin/env python3
"""Makes the recordings in agent/protocols/fastcgi/testdata: web servers ask PHP-FPM, both unmodified, through
http_relay_record.py.

  fastcgi_conversations.py OUTDIR [NAME...]      NAME: nginx nginx_keep apache haproxy cgi_fcgi

Needs what it records: php-fpm, nginx, apache2, haproxy, cgi-fcgi, curl. What is not installed is left out and said.
Loopback only; stops what it started.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from http_conversations import curl, free_port, process, run, version
from http_relay_record import Relay

PHP = """<?php
$path = parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH);
if ($path === '/error') { error_log('it went wrong'); http_response_code(500); }
if ($path === '/moved') { header('Location: /users/42'); exit; }
if ($path === '/empty') { http_response_code(204); exit; }
if ($path === '/nothing') http_response_code(404);
if ($path === '/big') { echo str_repeat('0123456789abcdef', 570); exit; }
if ($path === '/stream') { for ($i = 0; $i < 4; $i++) { echo str_repeat('x', 700); ob_flush(); flush(); usleep(2000); } exit; }
if ($path === '/slow') usleep(600000);
if ($path === '/late') { fastcgi_finish_request(); error_log('after the answer'); exit; }
echo 'user ', $path, strlen(file_get_contents('php://input'));
"""


def fpm_program():
    found = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))
    if not found:
        raise RuntimeError("no php-fpm")
    return str(found[0])


@contextlib.contextmanager
def php_fpm(tmp):
    port = free_port()
    (tmp / "index.php").write_text(PHP)
    (tmp / "fpm.conf").write_text(f"""
[global]
daemonize = no
error_log = {tmp}/fpm.log
[www]
user = root
group = root
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 3
php_admin_flag[log_errors] = on
""")
    command = [fpm_program(), "--allow-to-run-as-root", "--fpm-config", str(tmp / "fpm.conf")]
    with process(command, port):
        yield port


@contextlib.contextmanager
def nginx(tmp, upstream, keep=False):
    port = free_port()
    (tmp / "nginx.conf").write_text(f"""
worker_processes 1; pid {tmp}/pid; error_log stderr; daemon off; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {tmp}/b; proxy_temp_path {tmp}/p; fastcgi_temp_path {tmp}/f;
  uwsgi_temp_path {tmp}/u; scgi_temp_path {tmp}/s; underscores_in_headers on;
  upstream php {{ server 127.0.0.1:{upstream}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {tmp}/index.php;
      fastcgi_pass php; fastcgi_keep_conn {'on' if keep else 'off'};
    }}
    location /nowhere {{
      include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {tmp}/nowhere.php;
      fastcgi_pass php; fastcgi_keep_conn {'on' if keep else 'off'};
    }}
    location /unbuffered {{
      include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {tmp}/index.php; fastcgi_request_buffering off;
      fastcgi_pass php; fastcgi_keep_conn {'on' if keep else 'off'};
    }}
  }}
}}""")
    with process(["nginx", "-c", str(tmp / "nginx.conf"), "-p", str(tmp), "-e", "stderr"], port):
        yield port, version("nginx", "-v")


@contextlib.contextmanager
def apache(tmp, upstream):
    port = free_port()
    modules = pathlib.Path("/usr/lib/apache2/modules")
    load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so"
                     for name in ("mpm_event", "authz_core", "proxy", "proxy_fcgi"))
    (tmp / "apache.conf").write_text(f"""
ServerRoot {tmp}
ServerName localhost
PidFile {tmp}/apache.pid
ErrorLog {tmp}/apache.log
Listen 127.0.0.1:{port}
StartServers 1
{load}
User www-data
Group www-data
<Proxy "fcgi://127.0.0.1:{upstream}/" enablereuse=on max=2>
</Proxy>
ProxyPassMatch "^/(.*)$" "fcgi://127.0.0.1:{upstream}{tmp}/index.php"
""")
    with process(["apache2", "-f", str(tmp / "apache.conf"), "-DFOREGROUND"], port):
        yield port, version("apache2", "-v")


@contextlib.contextmanager
def haproxy(tmp, upstream):
    port = free_port()
    (tmp / "haproxy.cfg").write_text(f"""
global
  maxconn 64
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
fcgi-app php
  docroot {tmp}
  index index.php
  path-info ^(/index\\.php)(/.*)?$
  set-param SCRIPT_FILENAME {tmp}/index.php
  option keep-conn
  option get-values
frontend in
  bind 127.0.0.1:{port}
  default_backend php
backend php
  use-fcgi-app php
  http-reuse always
  server php 127.0.0.1:{upstream} proto fcgi
""")
    with process(["haproxy", "-f", str(tmp / "haproxy.cfg"), "-db"], port):
        yield port, version("haproxy", "-v")


def usual(port):
    """What every web server is asked."""
    curl(port, "@/users/42?token=secret&page=2", "@/users/43", "@/nothing")
    curl(port, "-d", "name=value", "@/upload")
    curl(port, "-d", "x" * 3000, "@/upload")
    curl(port, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-d", "y" * 1500, "@/upload")
    curl(port, "-I", "@/big")
    curl(port, "@/big", "@/stream", "@/users/44")
    curl(port, "@/empty", "@/moved", "@/error", "@/users/45")
    curl(port, "-X", "PROPFIND", "@/users/47", "@/users/47")
    curl(port, "-X", "DELETE", "-H", "Host: shop.example:8080", "-H", "X-Forwarded-For: 192.0.2.7, 10.0.0.1",
         "-H", "X-Forwarded-Proto: https", "@/carts/5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11")
    curl(port, "-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "-H", "tracestate: a=1",
         "-H", "X-Request-Id: 5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11", "-H", "b3: 0", "@/users/48")
    curl(port, "-H", "Cookie: " + "c" * 1400, "@/users/49")
    curl(port, "-H", "Cookie: " + "d" * 1400, "-d", "z" * 2000, "@/upload")
    curl(port, "-m", "0.2", "@/slow")
    curl(port, "@/late", "@/users/50")


def nginx_only(port):
    curl(port, "@/nowhere")
    curl(port, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-d", "u" * 2500, "@/unbuffered")


def cgi_fcgi(tmp, port):
    """libfcgi's own client, whose streams break records where its buffer ends."""
    base = {"REQUEST_METHOD": "GET", "SCRIPT_FILENAME": str(tmp / "index.php"), "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SCRIPT_NAME": "/users/60", "PATH": os.environ["PATH"]}
    for more in ({"QUERY_STRING": "a=b"}, {"REQUEST_URI": "/users/61", "HTTP_COOKIE": "e" * 9000}):
        run("cgi-fcgi", "-bind", "-connect", f"127.0.0.1:{port}", env={**base, **more}, stdin=subprocess.DEVNULL)


SERVERS = {"nginx": (nginx, nginx_only), "nginx_keep": (lambda tmp, to: nginx(tmp, to, keep=True), nginx_only),
           "apache": (apache, None), "haproxy": (haproxy, None), "cgi_fcgi": (None, None)}


def record(tmp, out, name):
    with php_fpm(tmp) as fpm:
        relay = Relay(fpm)
        note = f"application: {version(fpm_program(), '-v')}\nclient: "
        server, more = SERVERS[name]
        if server is None:
            cgi_fcgi(tmp, relay.port)
            note += "cgi-fcgi of libfcgi"
        else:
            with server(tmp, relay.port) as (port, what):
                usual(port)
                if more:
                    more(port)
                note += what
        relay.stop()
        relay.write(out / (name + ".rec"), note)
        print(f"{name}: {len(relay.calls)} calls", flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or SERVERS:
        # A short and fixed place: it is part of what is recorded.
        with tempfile.TemporaryDirectory(prefix="php-", dir="/tmp") as folder:
            tmp = pathlib.Path(folder)
            tmp.chmod(0o755)
            try:
                record(tmp, out, name)
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name}: left out: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
