"""Opening is allowed by file and purpose. `Suite` has `.decrypt`, so the ban is on its use, not on its import."""

import ast
from pathlib import Path

from tests.house.sources import files, module_of

# What a return code opens, for who has typed its words: the gateway itself could not (docs/decisions/0010).
MAY_DECRYPT_A_REPLY = {"gateway.public.replies"}
MAY_DECRYPT_A_BOX = {"gateway.desk.vault", "partner_sdk.mailbox"} | MAY_DECRYPT_A_REPLY
MAY_ENCRYPT_A_BOX = {"partner_sdk.sealing"}
# Symmetric drafts: opened under a key that only the person's session cookie holds.
# A visit's state in that cookie: no word of a report, sealed against whoever reads the cookie.
MAY_DECRYPT_A_DRAFT = {"gateway.public.drafts", "gateway.public.visit_state"}


def attribute_uses(path: Path, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def users_of(name: str) -> set[str]:
    sources = files(".py")
    assert len(sources) >= 80
    return {module_of(path) for path in sources if attribute_uses(path, name)}


def test_only_the_vault_the_mailbox_and_the_drafts_decrypt() -> None:
    assert users_of("decrypt") == MAY_DECRYPT_A_BOX | MAY_DECRYPT_A_DRAFT


def test_only_sealing_and_the_drafts_encrypt() -> None:
    assert users_of("encrypt") == MAY_ENCRYPT_A_BOX | MAY_DECRYPT_A_DRAFT


def words_of(module: str) -> set[str]:
    path = next(path for path in files(".py") if module_of(path) == module)
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def imports_from(path: Path, module: str) -> set[str]:
    return {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }


def test_only_the_vault_takes_purpose_report_context_or_enrol_when_it_opens() -> None:
    for module in ("partner_sdk.mailbox", *MAY_DECRYPT_A_REPLY):
        assert not words_of(module) & {"report", "context", "enrol"}


def test_only_the_replies_open_purpose_reply_at_the_gateway() -> None:
    gateway = [path for path in files(".py") if module_of(path).startswith("gateway.")]
    gateway = [path for path in gateway if not module_of(path).startswith("gateway.desk")]
    assert len(gateway) >= 80
    # Contexts of boxes for a return code, and keys that open a box, are at hand in this one file only.
    takes_context = {
        module_of(path)
        for path in gateway
        if imports_from(path, "partner_sdk.reply_message") & {"reply_context", "place_context", "open_reply"}
    }
    takes_key = {
        module_of(path) for path in gateway if imports_from(path, "partner_sdk.key_files") & {"load_xwing_private_key"}
    }
    assert takes_context == takes_key == MAY_DECRYPT_A_REPLY
    (replies,) = (path for path in gateway if module_of(path) in MAY_DECRYPT_A_REPLY)
    names = imports_from(replies, "partner_sdk.reply_message") | imports_from(replies, "partner_sdk.envelope")
    assert {name for name in names if name.endswith("_context")} == {"reply_context", "place_context"}
    assert not words_of("gateway.public.replies") & {"reply", "mailbox"}


def test_desk_never_makes_the_private_key_of_a_return_code() -> None:
    desk = [path for path in files(".py") if module_of(path).startswith("gateway.desk")]
    assert len(desk) >= 30
    users = {module_of(path) for path in desk if "place_context" in path.read_text(encoding="utf-8")}
    assert users == set()
