"""Opening is allowed by file and purpose. `Suite` has `.decrypt`, so the ban is on its use, not on its import.

Found by syntax tree, however a file comes by a name; the last tests seed each way round the search and see it found.
"""

import ast
from collections.abc import Iterable
from functools import cache

import pytest

from tests.house.sources import files, module_of, walk

# What a return code opens, for who has typed its words: the gateway itself could not (docs/decisions/0010).
MAY_DECRYPT_A_REPLY = {"gateway.public.returning"}
MAY_DECRYPT_A_BOX = {"gateway.desk.vault.holder", "partner_sdk.client.mailbox"} | MAY_DECRYPT_A_REPLY
MAY_ENCRYPT_A_BOX = {"partner_sdk.wire.sealing"}
# A file that a partner handed over: opened at the desk, when a person asks for it (docs/decisions/0019).
MAY_DECRYPT_EVIDENCE = {"gateway.desk.collection.evidence_holdings"}
# Symmetric drafts, opened under a key that only the person's session cookie holds, and a visit's state in that cookie:
# no word of a report, sealed against whoever reads the cookie.
MAY_DECRYPT_A_DRAFT = {"gateway.public.visit"}


# Evidence is encrypted in segments, into a buffer of the sealer's own; whoever encrypts it opens nothing.
MAY_ENCRYPT_EVIDENCE = {"partner_sdk.client._evidence_upload"}

# The format of a reply writes both contexts down, and holds no key.
DEFINE_A_REPLY = {"gateway.exchange.public_report"}

# Whoever builds a context can name any purpose; who holds an X-Wing key can open any box that is sealed to it.
OF_A_RETURN_CODE = {"reply_context", "place_context", "SIGNED_REPLY", "SealContext"}
XWING_KEYS = {"load_xwing_private_key", "MLKEM768X25519PrivateKey", "MLKEM768PrivateKey", "X25519PrivateKey"}
MAKE_A_RETURN_KEY = {"place_context", "derive_return_keys"}
# The seals over the desk's key files, under the passphrases of its custodians (docs/decisions/0052), and the layer of a
# case's key over boxes that stay sealed (docs/decisions/0058).
DERIVES_FROM_A_PASSPHRASE = {"gateway.desk.vault.key_folder"}
MAY_DECRYPT_A_KEY_FILE = {*DERIVES_FROM_A_PASSPHRASE, "gateway.desk.vault.case_keys"}

# The sealed file of a package: the desk seals it, and its reader opens it for the body that has the passphrase
# (docs/decisions/0063).
MAY_SEAL_A_PACKAGE = {"gateway.desk.outgoing.package_archive"}
MAY_OPEN_A_PACKAGE = {"partner_sdk.reader.package_reader"}


@cache
def mentions_of(source: str) -> set[str]:
    """Return every name that a file uses, imports or has as a text: `getattr(module, "name")` counts too."""
    found: set[str] = set()
    for node in walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def mentions_by_module(*rooms: str, least: int, but: str = " ") -> dict[str, set[str]]:
    """Return the mentions of every module below the rooms, without those below `but`."""
    found = {
        module_of(path): mentions_of(path.read_text(encoding="utf-8"))
        for path in files(".py")
        if module_of(path).startswith(rooms) and not module_of(path).startswith(but)
    }
    assert len(found) >= least
    return found


def users_of(names: Iterable[str], *, among: dict[str, set[str]]) -> set[str]:
    return {module for module, mentions in among.items() if mentions & set(names)}


@cache
def everywhere() -> dict[str, set[str]]:
    return mentions_by_module("gateway.", "partner_sdk", "widget", least=150)


@cache
def gateway() -> dict[str, set[str]]:
    return mentions_by_module("gateway.", least=80, but="gateway.desk")


@cache
def desk() -> dict[str, set[str]]:
    return mentions_by_module("gateway.desk", least=30)


def test_only_the_vault_the_mailbox_and_the_drafts_decrypt() -> None:
    may = MAY_DECRYPT_A_BOX | MAY_DECRYPT_A_DRAFT | MAY_DECRYPT_EVIDENCE | MAY_DECRYPT_A_KEY_FILE | MAY_OPEN_A_PACKAGE
    assert users_of({"decrypt"}, among=everywhere()) == may


def test_only_the_desks_one_file_and_the_partner_make_the_key_of_a_file() -> None:
    makers = users_of({"derive_file_key"}, among=everywhere())
    assert makers == MAY_DECRYPT_EVIDENCE | {"partner_sdk.client._evidence_upload"}
    # It takes the secret out of an opened report, and opens no report itself.
    (opening,) = MAY_DECRYPT_EVIDENCE
    assert not desk()[opening] & {"load_vault", "open_report", "report_context", "Vault"}


def test_only_the_sealing_of_evidence_encrypts_into_a_buffer_and_opens_nothing() -> None:
    assert users_of({"encrypt_into"}, among=everywhere()) == MAY_ENCRYPT_EVIDENCE
    assert users_of({"decrypt", "decrypt_into"}, among=everywhere()) & MAY_ENCRYPT_EVIDENCE == set()


def test_only_sealing_and_the_drafts_encrypt() -> None:
    may = MAY_ENCRYPT_A_BOX | MAY_DECRYPT_A_DRAFT | MAY_DECRYPT_A_KEY_FILE | MAY_SEAL_A_PACKAGE
    assert users_of({"encrypt"}, among=everywhere()) == may


def test_only_the_vault_takes_purpose_report_context_or_enrol_when_it_opens() -> None:
    for module in ("partner_sdk.client.mailbox", *MAY_DECRYPT_A_REPLY):
        assert not texts_of(module) & {"report", "context", "enrol"}
        assert not everywhere()[module] & {"report_context", "enrolment_context"}
        assert contexts_built_in(module) == 0


def test_only_the_replies_open_purpose_reply_at_the_gateway() -> None:
    # Contexts of boxes for a return code, and keys that open a box, are at hand in this one file only.
    assert users_of(OF_A_RETURN_CODE, among=gateway()) == MAY_DECRYPT_A_REPLY | DEFINE_A_REPLY
    assert users_of(XWING_KEYS, among=gateway()) == MAY_DECRYPT_A_REPLY
    (replies,) = MAY_DECRYPT_A_REPLY
    # It takes the purpose from the two contexts of the wire, and spells none itself.
    assert {name for name in gateway()[replies] if name.endswith("_context")} == {"reply_context", "place_context"}
    assert not texts_of(replies) & {"reply", "mailbox"}


def test_sandbox_reads_with_the_vault_of_its_own_desk_and_names_no_key() -> None:
    sandbox = {module: found for module, found in everywhere().items() if module.startswith("gateway.testing")}
    assert len(sandbox) >= 6
    # It makes its desk with `make_desk`, and never opens a desk, a vault or a key that is there already.
    assert (
        users_of({"make_desk"}, among=sandbox) == users_of({"open_desk"}, among=sandbox) == {"gateway.testing.agency"}
    )
    keys = {"KeyFile", "KeyRole", "Vault", "load_signing_key", "new_key", "open_report", "read_key_file"}
    assert {name for found in sandbox.values() for name in found & keys} == {"open_report"}


def test_desk_never_makes_the_private_key_of_a_return_code() -> None:
    assert users_of(MAKE_A_RETURN_KEY, among=desk()) == set()
    assert users_of({"Argon2id"}, among=desk()) == DERIVES_FROM_A_PASSPHRASE
    assert users_of(XWING_KEYS, among=desk()) == {"gateway.desk.vault.holder"}


def test_private_keys_of_the_desk_are_read_in_the_vault_and_roots_where_a_person_brings_them() -> None:
    reader = "gateway.desk.vault.key_folder"
    assert users_of({"read_key_file", "read_key_bytes", "parse_key_file"}, among=desk()) == {reader}
    may_sign = {"gateway.desk.vault.holder", "gateway.desk.keyring.delegation"}
    assert users_of({"load_signing_key", "from_private_bytes"}, among=desk()) == may_sign
    # A new desk is made before there is a vault.
    may_make_a_key = {reader, "gateway.desk.keyring.publication", "gateway.desk.keyring.delegation"}
    assert users_of({"write_key_file", "write_key_bytes"}, among=desk()) == may_make_a_key
    # Only the desk as one value makes a holder; everything else asks its doors.
    assert users_of({"Holder"}, among=desk()) == {"gateway.desk.office.wiring"}


def read_source(module: str) -> str:
    (path,) = (path for path in files(".py") if module_of(path) == module)
    return path.read_text(encoding="utf-8")


def texts_of(module: str) -> set[str]:
    constants = (node for node in ast.walk(ast.parse(read_source(module))) if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str)}


def contexts_built_in(module: str) -> int:
    return count_calls(read_source(module), "SealContext")


def count_calls(source: str, name: str) -> int:
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sum(name in {getattr(call, "id", None), getattr(call, "attr", None)} for call in calls)


@pytest.mark.parametrize(
    "way",
    [
        "from gateway.exchange.public_report import place_context",
        "from gateway.exchange.public_report import place_context as somewhere",
        "import gateway.exchange.public_report\ngateway.exchange.public_report.place_context(environment='live')",
        "from gateway.exchange import public_report as letters\nletters.place_context",
        "def open_it():\n    from gateway.exchange.public_report import place_context",
        "import importlib\ngetattr(importlib.import_module('gateway.exchange.public_report'), 'place_context')",
        "import gateway.exchange.public_report as letters\nvars(letters)['place_context']",
    ],
)
def test_search_finds_a_name_however_a_file_comes_by_it(way: str) -> None:
    seeded = {"gateway.seeded": mentions_of(way)}
    may = MAY_DECRYPT_A_REPLY | DEFINE_A_REPLY
    assert users_of(OF_A_RETURN_CODE, among=gateway() | seeded) == may | {"gateway.seeded"}
    assert users_of(MAKE_A_RETURN_KEY, among=desk() | seeded) == {"gateway.seeded"}


def test_search_does_not_take_prose_for_a_use() -> None:
    prose = '"""Never calls place_context, derive_return_keys."""\n# nor Argon2id\nreply = "A reply_context of its own"'
    assert not mentions_of(prose) & (OF_A_RETURN_CODE | MAKE_A_RETURN_KEY)


def test_context_that_is_built_by_hand_is_counted() -> None:
    assert count_calls("SealContext(purpose='report')", "SealContext") == 1
    assert count_calls("import partner_sdk as sdk\nsdk.SealContext(purpose='report')", "SealContext") == 1
    assert count_calls("def read(context: SealContext) -> None: ...", "SealContext") == 0
