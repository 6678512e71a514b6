"""The doors of a vault with keys that a test made, without a folder and a record."""

from gateway.desk.vault import Answer, Bytes, OpenBox, Request
from gateway.desk.vault.doors import Vault
from gateway.desk.vault.holder import SealingKeys
from partner_sdk.key_files import KeyFile


def make_vault(*key_files: KeyFile) -> Vault:
    """Return the doors of a vault with these sealing keys."""
    keys = SealingKeys(key_files)

    def answer(request: Request) -> Answer:
        assert isinstance(request, OpenBox)
        return Bytes(value=keys.open(request))

    return Vault(answer, actor="test", reason="check")
