"""The head of a request in the app's environ."""

import pytest

from gateway.web.wsgi_bridge import AmbiguousHeadersError, make_environ


def scope_of(*headers: tuple[bytes, bytes], path: bytes = b"/v1/status") -> dict[str, object]:
    return {
        "client": ("127.0.0.1", 1),
        "headers": list(headers),
        "http_version": "1.1",
        "method": "GET",
        "path": "",
        "query_string": b"a=1",
        "raw_path": path,
        "scheme": "http",
        "server": ("127.0.0.1", 2),
    }


def test_signature_that_comes_twice_is_joined_for_the_profile_to_refuse() -> None:
    environ = make_environ(scope_of((b"signature", b"a"), (b"signature", b"b")))
    assert environ["HTTP_SIGNATURE"] == "a,b"


@pytest.mark.parametrize("name", [b"host", b"content-length", b"content-type", b"content-encoding"])
def test_header_of_which_there_is_one_may_not_come_twice(name: bytes) -> None:
    with pytest.raises(AmbiguousHeadersError):
        make_environ(scope_of((name, b"a"), (name, b"b")))
