"""WSGI: the process that reads the request makes its calls. Also gunicorn_gthread's application."""
import blocking

blocking.start_background()


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    blocking.work(environ["PATH_INFO"], body)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"done\n"]
