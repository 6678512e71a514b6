"""The file of an invitation: held before the invitation is made, so that a file in the way leaves nothing made.

Never writes over a file, and never leaves one behind for an invitation that was refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.desk.partnership.partners import PartnerError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import Invitation

KeepInvitation = Callable[[Invitation], None]


@contextmanager
def hold_invitation_file(path: Path) -> Iterator[KeepInvitation]:
    """Make the file, readable by its owner alone, and give what writes the invitation into it.

    Whatever is raised inside takes the file away again. Raises `PartnerError` (`file-not-written`) for a file that is
    there already, or that can not be made or written.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise _refuse(path, error) from None

    def keep(invitation: Invitation) -> None:
        try:
            path.write_bytes(encode(invitation) + b"\n")
        except OSError as error:
            raise _refuse(path, error) from None

    try:
        yield keep
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _refuse(path: Path, error: OSError) -> PartnerError:
    return PartnerError(
        f"The invitation can not be written to {path} ({error.strerror}), so none was made: name another --out.",
        reason="file-not-written",
    )
