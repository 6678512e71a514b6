"""The agency as a host page sees it: the real gateway on a port of this machine, with a note of its requests."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.whole.public_server import PublicServer, serve_public


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its path with the query, and its headers about the caller."""

    path: str
    referer: str | None
    cookie: str | None


@dataclass(frozen=True, slots=True)
class AgencyDoor:
    """A running gateway."""

    server: PublicServer
    requests: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the agency's origin."""
        return self.server.url

    @property
    def paths(self) -> list[str]:
        """List the paths that were asked for, without the favicon, which is a browser's own wish."""
        return [asked.path for asked in self.requests if asked.path != "/favicon.ico"]


@contextmanager
def open_agency_door(folder: Path) -> Iterator[AgencyDoor]:
    """Serve a new gateway's public door, which carries the button's files too."""
    with serve_public(folder) as server:
        door = AgencyDoor(server)
        answer = server.public.app.wsgi_app

        def note(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
            door.requests.append(
                Asked(environ["PATH_INFO"] + query, environ.get("HTTP_REFERER"), environ.get("HTTP_COOKIE"))
            )
            return answer(environ, start_response)

        server.public.app.wsgi_app = note  # type: ignore[method-assign]  # Flask documents middleware this way
        yield door
