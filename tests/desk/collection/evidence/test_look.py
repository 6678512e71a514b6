"""A still picture of a case is shown grey and blurred on a page without script; nothing that moves is shown."""

import base64
import json

import pytest
from sqlalchemy import select

from gateway.desk.cases.case_files import find_still_type
from gateway.desk.cases.pages import LOOK_POLICY
from gateway.desk.store.schema import AUDIT
from tests.desk.desk_loop import Loop
from tests.desk.evidence_builders import collect_all, make_film, newest_case, send_film
from tests.desk.view_builders import Browser

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 17 + b"\0\0\0\0IDAT\0\0\0\0"
MOVING_PNG = PNG.replace(b"IDAT", b"acTL\0\0\0\0\0\0\0\0IDAT")
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"


def look(loop: Loop, plain: bytes) -> tuple[int, str, str]:
    film = send_film(loop, make_film(plain))
    collect_all(loop)
    browser = Browser(loop.desk).sign_in("k-kim")
    path = f"/cases/{newest_case(loop).case_id}"
    browser.get(path)
    answer = browser.post(f"{path}/files/{film.evidence_id}/look")
    return answer.status_code, answer.text, answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("plain", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_still_picture_is_on_a_page_that_runs_and_loads_nothing(loop: Loop, plain: bytes, media_type: str) -> None:
    status, page, policy = look(loop, plain)
    assert (status, policy) == (200, LOOK_POLICY)
    assert f'src="data:{media_type};base64,{base64.b64encode(plain).decode()}"' in page
    assert "<script" not in page
    assert "script-src" not in policy
    assert 'type="checkbox" id="sharp">' in page  # unchecked: blurred until asked for
    with loop.desk.store.read() as connection:
        entry = connection.execute(select(AUDIT).where(AUDIT.c.action == "open-evidence")).one()
    assert (entry.actor, json.loads(entry.detail)["way"]) == ("k-kim", "look")


@pytest.mark.parametrize(
    "plain", [MOVING_PNG, b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0\x18ftypmp42", b"<svg>", b""]
)
def test_file_that_moves_or_is_no_picture_is_not_shown(loop: Loop, plain: bytes) -> None:
    assert find_still_type(plain) is None
    status, page, _ = look(loop, plain)
    assert status == 409
    assert "no still picture" in page
    assert '="data:' not in page
