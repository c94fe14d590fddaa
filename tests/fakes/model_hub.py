"""A fake hub of models over real sockets, and the server it keeps its large files on, each on a port of the loopback.

`with fake_hub() as hub:` gives one; its attributes say what it holds and what goes wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "a" * 40
_PIECE = 64 << 10


class Asked(NamedTuple):
    """A request as it came."""

    server: str
    """"hub" or "store"."""
    path: str
    headers: dict[str, str]
    """Names in small letters."""


@dataclass
class FakeHub:
    """What the hub holds, and how it behaves."""

    url: str = ""
    store_url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    licence: str = "apache-2.0"
    asked: list[Asked] = field(default_factory=list)
    names_checksums: bool = True
    redirects: bool = True
    """Files come from the store, as on the real hub."""
    lied_sha256: str = ""
    gated: set[str] = field(default_factory=set)
    token: str = ""
    """What opens gated repositories."""
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Answers for the next requests, whatever they ask."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the connection breaks, for each of the next files asked for."""
    knows_ranges: bool = True
    says_length: bool = True
    extra: bytes = b""
    """Sent behind a file."""
    ends_early: int = 0
    """Bytes that are left out at the end of a file."""
    hold_after: int | None = None
    """After so many bytes the store waits for `let_go`."""
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def files_asked(self) -> list[Asked]:
        """Requests for bytes of files."""
        server = "store" if self.redirects else "hub"
        return [one for one in self.asked if one.server == server and "/api/" not in one.path]

    def info(self, repository: str) -> dict[str, object]:
        """What the hub tells about a repository."""
        siblings = []
        for name, data in self.repositories[repository].items():
            one: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": "b" * 40}
            if self.names_checksums and name.endswith(".gguf"):
                one["lfs"] = {"sha256": self.sha256(data), "size": len(data), "pointerSize": 130}
            siblings.append(one)
        card = {"license": self.licence} if self.licence else {}
        return {"id": repository, "sha": self.commit, "gated": False, "siblings": siblings, "cardData": card}

    def sha256(self, data: bytes) -> str:
        """As the hub names it."""
        return self.lied_sha256 or hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub
    role = "hub"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append(Asked(self.role, self.path, headers))
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        with contextlib.suppress(OSError):  # whoever asked may be gone
            if self.hub.refusals:
                status, more = self.hub.refusals.pop(0)
                self._json({"error": "no"}, status, more)
            elif parts == ["api", "models"]:
                asked = {name: values[0].casefold() for name, values in parse_qs(url.query).items()}
                wanted = asked.get("search") or asked["author"] + "/"
                found = [name for name in self.hub.repositories if wanted in name.casefold()]
                self._json([{"id": name, "downloads": 1234, "likes": 5} for name in found])
            elif parts[:2] == ["api", "models"]:
                self._about("/".join(parts[2:4]))
            else:
                self._resolve("/".join(parts[:2]), "/".join(parts[4:]))

    def _about(self, repository: str) -> None:
        if repository not in self.hub.repositories:
            self._json({"error": "Repository not found"}, 401, {"X-Error-Code": "RepoNotFound"})
        else:
            self._json(self.hub.info(repository))

    def _resolve(self, repository: str, file: str) -> None:
        hub = self.hub
        data = hub.repositories.get(repository, {}).get(file)
        if repository in hub.gated and self.role == "hub" and self.headers["Authorization"] != f"Bearer {hub.token}":
            status = 403 if self.headers["Authorization"] else 401
            self._json({"error": "restricted"}, status, {"X-Error-Code": "GatedRepo"})
        elif data is None:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        elif self.role == "hub" and hub.redirects:
            told = {"ETag": '"of-the-redirect"', "X-Repo-Commit": hub.commit, "Location": hub.store_url + self.path}
            if hub.names_checksums:
                told["X-Linked-Etag"] = f'"{hub.sha256(data)}"'
            self._head(302, {**told, "Content-Length": "0"})
        else:
            self._send(data)

    def _send(self, data: bytes) -> None:
        hub, wanted = self.hub, self.headers["Range"]
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and hub.knows_ranges else 0
        if start >= len(data):
            self._json({}, 416)
            return
        body = data[start : len(data) - hub.ends_early] + hub.extra
        headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        if hub.says_length:
            headers["Content-Length"] = str(len(body))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(206 if start else 200, headers)
        cut = hub.cuts.pop(0) if hub.cuts else len(body)
        hold = len(body) if hub.hold_after is None else hub.hold_after
        for at in range(0, len(body), _PIECE):
            if at >= hold and not hub.let_go.is_set():
                self.wfile.flush()
                hub.held.set()
                hub.let_go.wait(60)
            self.wfile.write(body[at : min(at + _PIECE, cut)])
            if cut < at + _PIECE and cut < len(body):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                return

    def _json(self, value: object, status: int = 200, more: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub and its store, each on a free port of the loopback."""
    hub = FakeHub()
    with contextlib.ExitStack() as running:
        addresses = []
        for role in ("hub", "store"):
            handler = type("Handler", (_Handler,), {"hub": hub, "role": role})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = False  # closing waits for what is still being served
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            running.callback(thread.join)
            running.callback(server.server_close)
            running.callback(server.shutdown)
            addresses.append(f"http://127.0.0.1:{server.server_address[1]}")
        running.callback(hub.let_go.set)
        hub.url, hub.store_url = addresses
        yield hub
