"""`button context`: the output for people and programs, and the fixes it names."""

import json
from pathlib import Path

import pytest

from tests.builders import NOW, PUBLIC_ORIGIN
from tests.sdk.button.test_page_contexts import EXAMPLE, make_folder, open_token
from tests.sdk.sdk_builders import ScriptedGateway, Terminal


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A folder with a key set, and a gateway that answers nothing: no call is made."""
    return Terminal(make_folder(tmp_path / "partner"), ScriptedGateway(), capsys)


def test_command_prints_the_token_and_the_whole_address(line: Terminal) -> None:
    assert line.run("button", "context", str(EXAMPLE), "--lifetime", "60") == 0
    said = line.json()
    opened = open_token(str(said["context"]))
    assert (opened.conversation_id, opened.expires_at) == ("conv-5531", "2026-11-25T08:31:00Z")
    assert opened.issued_at == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert said["href"] == f"{PUBLIC_ORIGIN}/?from=example-chat-dm#context={said['context']}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"surface": "forum"}, "#/surface: Give one of chat, direct_message, profile, game_lobby,"),
        ({"placement": "Not One"}, "#/placement: Give the link id from the agency"),
        ({"about": [{"account_id": ""}]}, "#/about/0/account_id: Give your own id for it"),
    ],
)
def test_command_says_what_would_fit(line: Terminal, tmp_path: Path, change: dict[str, object], said: str) -> None:
    file = tmp_path / "page.json"
    file.write_text(json.dumps(json.loads(EXAMPLE.read_bytes()) | change), encoding="utf-8")
    assert line.run("button", "context", str(file)) == 1
    assert said in line.err
    assert "one of the allowed values" not in line.err


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"surface":"chat","surface":"chat"}', b"\xff", b'"' * 70_000])
def test_command_refuses_what_is_no_facts_of_a_page(line: Terminal, tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "page.json"
    file.write_bytes(raw)
    assert line.run("button", "context", str(file)) == 1
