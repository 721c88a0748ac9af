"""A web server on this machine, with every fault that one can have."""

import contextlib
import email.message
import http.server
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from transforms.files.web.storage import WebStorage

CONTENT = bytes(range(256)) * 40
"""Content of a file."""

STALL_SECONDS = 30.0
"""Longer than the tests let a reader wait."""


class Answer(NamedTuple):
    """What the server does once it is asked.

    Attributes:
        body: Content.
        status: Status.
        headers: Further headers.
        fault: What it does instead of sending the body whole: "short", "reset", "stall", "drip",
            "drip headers", "hang up", "junk", or "endless", which sends it again and again; "no
            length" sends it whole, and ends by closing.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    fault: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()
        self.connection.settimeout(self.server.idle_seconds)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            self._do()

    do_HEAD = do_GET

    def do_CONNECT(self) -> None:
        """Is a proxy: passes bytes on to where the server's tunnel leads."""
        self._note()
        self.close_connection = True
        with socket.create_connection(self.server.tunnel_to, 5) as far:
            self.send_response(200)
            self.end_headers()
            near = self.connection
            thread = threading.Thread(target=_pump, args=(far, near), daemon=True)
            thread.start()
            _pump(near, far)
            thread.join()

    def _note(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.headers.append(dict(self.headers))

    def _do(self) -> None:
        self._note()
        with self.server.lock:
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            answers = self.server.answers.get(self.path, [Answer(b"not here", 404)])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if _is_known(answer, self.headers):
            answer = Answer(status=304, headers=answer.headers)
        try:
            time.sleep(self.server.latency_seconds)
        finally:
            with self.server.lock:  # A reader that has the answer may ask again at once.
                self.server.at_once -= 1
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.fault in ("reset", "hang up", "junk", "drip headers"):
            self.close_connection = True
            if answer.fault == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if answer.fault == "junk":
                self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            if answer.fault == "drip headers":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                self._drip(b"X-Slow: 1\r\n" * 1000)
            return
        self.send_response(answer.status)
        body, fault = answer.body, answer.fault
        if fault in ("no length", "endless"):
            self.send_header("Connection", "close")
        elif "Transfer-Encoding" not in answer.headers:
            length = len(body) + (100 if fault in ("short", "stall") else 0)
            self.send_header("Content-Length", answer.headers.get("Content-Length", str(length)))
        for name, value in answer.headers.items():
            if name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        while fault == "endless":
            self.wfile.write(body)
            self.server.bytes_sent += len(body)
        if fault == "drip":
            self._drip(body)
        else:
            self.server.bytes_sent += len(body)  # Before the client has it, and looks.
            self.wfile.write(body)
        self.close_connection |= fault in ("short", "no length", "stall")
        if fault == "stall":
            self.server.released.wait(STALL_SECONDS)

    def _drip(self, body: bytes) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            if self.server.released.wait(0.05):
                return


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.at_once = self.most_at_once = self.bytes_sent = 0
        self.latency_seconds = 0.0
        self.idle_seconds: float | None = None
        self.connections = 0
        self.tunnel_to = ("127.0.0.1", 0)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        request.close()  # What is shut down before is not reset.

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # A reader that refuses to go on, or a certificate that it does not trust.


class WebServer:
    """A running server; `url` is http://127.0.0.1:port."""

    def __init__(self, server: _Server, scheme: str) -> None:
        self.server = server
        self.port = server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def put(self, path: str, *answers: Answer | bytes) -> str:
        """Says what a path answers, first and next; the last one for ever. Returns its URL."""
        self.server.answers[path] = [
            Answer(answer) if isinstance(answer, bytes) else answer for answer in answers
        ]
        return self.url + path

    @property
    def requests(self) -> list[str]:
        """Requests, as "GET /a.jpg", but for those of robots.txt."""
        return [one for one in self.server.requests if not one.endswith("/robots.txt")]

    @property
    def robots_requests(self) -> int:
        return sum(one.endswith("/robots.txt") for one in self.server.requests)


@contextlib.contextmanager
def run_web(wrap: Callable[[socket.socket], ssl.SSLSocket] | None = None) -> Iterator[WebServer]:
    """Runs a server on a free port of this machine, by TLS if it is told how to wrap a socket."""
    with _Server() as server:
        if wrap is not None:
            server.socket = wrap(server.socket)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield WebServer(server, "https" if wrap else "http")
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def _is_known(answer: Answer, asked: email.message.Message) -> bool:
    """Whether a reader has what it asks for, by RFC 9110, 13.2.2."""
    if answer.status != 200:
        return False
    if (etag := asked.get("If-None-Match")) is not None:
        return etag == answer.headers.get("ETag")
    modified = answer.headers.get("Last-Modified")
    return modified is not None and asked.get("If-Modified-Since") == modified


def redirect(to: str, status: int = 302) -> Answer:
    """Returns an answer that leads elsewhere."""
    return Answer(b"moved", status, {"Location": to})


def open_store(*, allow_private_hosts: bool = True) -> contextlib.closing[WebStorage]:
    """Opens a reader of the web, to be closed after use."""
    return contextlib.closing(WebStorage(allow_private_hosts=allow_private_hosts))


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
