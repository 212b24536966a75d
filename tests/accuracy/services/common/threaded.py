"""The standard library's HTTP server with a thread for each connection, whose threads do what a request asks for."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import blocking
import plan


class Server(ThreadingHTTPServer):
    request_queue_size = 4096


def serve(work):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                work(self.path, body)
                self.send_response(200)
            except OSError:
                self.send_response(502)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"done\n")

        def log_message(self, *_):
            pass

    blocking.start_background()
    Server(("127.0.0.1", plan.PORT), Handler).serve_forever()
