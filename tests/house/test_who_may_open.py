"""Opening is allowed by file and purpose. `Suite` has `.decrypt`, so the ban is on its use, not on its import."""

import ast
from pathlib import Path

from tests.house.sources import files, module_of

MAY_DECRYPT_A_BOX = {"gateway.desk.vault", "partner_sdk.mailbox"}
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


def test_only_the_vault_takes_purpose_report_context_or_enrol_when_it_opens() -> None:
    mailbox = next(path for path in files(".py") if module_of(path) == "partner_sdk.mailbox")
    words = {
        node.value
        for node in ast.walk(ast.parse(mailbox.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not words & {"report", "context", "enrol"}
