"""A server of objects on this machine, with what a real one does now and then."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_CODES = {403: "AccessDenied", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}
_SAID = {
    403: "This caller may not do that.",
    429: "Too many requests.",
    500: "We encountered an internal error. Please try again.",
    503: "Please reduce your request rate.",
}


class Faults:
    """A WSGI application around another, which refuses, loses and cuts as it is told.

    Attributes:
        requests: Requests since it was last emptied, as "GET /bucket/name?query".
        closed: Beginnings of paths that are refused.
        busy: Codes for the next requests.
        answers_to_lose: How many of the next writes are done, and not answered.
        bodies_to_cut: How many of the next bodies end in their middle.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.requests: list[str] = []
        self.forget()

    def forget(self) -> None:
        self.requests.clear()
        self.closed: set[str] = set()
        self.busy: list[int] = []
        self.answers_to_lose = 0
        self.bodies_to_cut = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["RAW_URI"]
        self.requests.append(f"{environ['REQUEST_METHOD']} {path}")
        if self.busy:
            return self._refuse(environ, start, self.busy.pop(0))
        if any(path.startswith(beginning) for beginning in self.closed):
            return self._refuse(environ, start, 403)
        if self.answers_to_lose and environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            self.answers_to_lose -= 1
            list(self._application(environ, lambda *_: None))
            self._hang_up(environ)
            start("500 Lost", [])
            return []
        if self.bodies_to_cut:
            self.bodies_to_cut -= 1
            body = b"".join(self._application(environ, start))
            return [body[: len(body) // 2]]
        return self._application(environ, start)

    def _refuse(
        self, environ: dict[str, Any], start: Callable[..., Any], code: int
    ) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        name = _CODES[code]
        body = f'<?xml version="1.0"?><Error><Code>{name}</Code><Message>{_SAID[code]}</Message>'
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else f"{body}</Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(content)))]
        headers += [("x-ms-error-code", name)] + [("Retry-After", "1")] * (code == 503)
        start(f"{code} {name}", headers)
        return [content]

    def _hang_up(self, environ: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


class FaultyBucket:
    """What a test may do to the server that its bucket is on."""

    faults: Faults

    @property
    def requests(self) -> list[str]:
        """Requests since the test began, as "GET /bucket/name", whoever made them."""
        return self.faults.requests

    def be_busy(self, *codes: int) -> None:
        """Refuses the next requests, with these codes."""
        self.faults.busy = list(codes)

    def lose_answers(self, count: int = 1) -> None:
        """Does what the next writes ask for, and breaks the connection instead of an answer."""
        self.faults.answers_to_lose = count

    def cut_bodies(self, count: int = 1) -> None:
        """Sends half of the next bodies."""
        self.faults.bodies_to_cut = count


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serve(application: Application, handler: type[WSGIRequestHandler]) -> Iterator[int]:
    """Serves on a free port of this machine; gives its number."""

    class Handler(_Quiet, handler):  # type: ignore[misc, valid-type]
        pass

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
