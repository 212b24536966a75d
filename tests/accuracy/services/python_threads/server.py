"""The standard library's threaded HTTP server: a thread for each connection."""
import blocking
import threaded

threaded.serve(blocking.work)
