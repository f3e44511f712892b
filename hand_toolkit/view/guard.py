"""Who may talk to the viewer: the browser that was given the address, no page of another site.

viser listens on loopback, but any page that the user visits can reach loopback, too, under a name
of its own that it lets point there (DNS rebinding). So every request must name this host, must come
from this origin if it says where it comes from, and must bring the token that only the announced
address holds; the first page hands it to the browser as a cookie for what follows, the websocket
included.
"""

from __future__ import annotations

import contextlib
import functools
import http
import http.cookies
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

_patching = threading.Lock()


class Guard:
    """Judges requests; one for each server.

    Attributes:
        token: what the address must bring.
    """

    def __init__(self, host: str) -> None:
        self.token = secrets.token_urlsafe(24)
        self._host = host

    def cookie(self, port: int) -> str:
        """The cookie's name; browsers do not keep the cookies of two ports apart."""
        return f"hand_toolkit_{port}"

    def refusal(self, port: int, path: str, headers: Any) -> str | None:
        """Why a request is refused, or None.

        Args:
            port: that the request came to.
            path: with the query.
            headers: with ``get_all``.
        """
        accepted = {f"{self._host}:{port}", f"localhost:{port}"}
        hosts = headers.get_all("Host")
        if len(hosts) != 1 or hosts[0].lower() not in accepted:
            return "this server answers to its own address only"
        origins = headers.get_all("Origin")
        if any(o.lower() not in {f"http://{host}" for host in accepted} for o in origins):
            return "this server does not answer pages of other sites"
        if not any(
            secrets.compare_digest(t, self.token) for t in self._brought(port, path, headers)
        ):
            return "open the address that hand-toolkit view printed, with its token"
        return None

    def brings(self, path: str) -> bool:
        """Whether the address itself brings the token."""
        return self.token in parse_qs(urlsplit(path).query).get("token", [])

    def _brought(self, port: int, path: str, headers: Any) -> list[str]:
        found = parse_qs(urlsplit(path).query).get("token", [])
        for text in headers.get_all("Cookie"):
            with contextlib.suppress(http.cookies.CookieError):
                morsel = http.cookies.SimpleCookie(text).get(self.cookie(port))
                found += [] if morsel is None else [morsel.value]
        return [text for text in found if text.isascii()]


@contextlib.contextmanager
def guarding(guard: Guard) -> Iterator[None]:
    """Servers that viser starts meanwhile ask ``guard`` first.

    viser has no setting for this: its call of ``websockets.asyncio.server.serve`` is given another
    ``process_request``.
    """
    from websockets.asyncio import server

    original = server.serve

    @functools.wraps(original)
    def serve(*arguments: Any, process_request: Any = None, **options: Any) -> Any:
        return original(*arguments, process_request=_guarded(guard, process_request), **options)

    with _patching:
        server.serve = serve  # type: ignore[assignment,misc]
        try:
            yield
        finally:
            server.serve = original  # type: ignore[misc]


def _guarded(guard: Guard, inner: Callable[[Any, Any], Any] | None) -> Callable[[Any, Any], Any]:
    def process_request(connection: Any, request: Any) -> Any:
        port = connection.local_address[1]
        reason = guard.refusal(port, request.path, request.headers)
        if reason is not None:
            return connection.respond(http.HTTPStatus.FORBIDDEN, reason + "\n")
        response = None if inner is None else inner(connection, request)
        if response is not None:
            if guard.brings(request.path):
                response.headers["Set-Cookie"] = (
                    f"{guard.cookie(port)}={guard.token}; HttpOnly; SameSite=Strict; Path=/"
                )
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Frame-Options"] = "DENY"
        return response

    return process_request
