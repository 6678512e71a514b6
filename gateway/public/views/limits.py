"""Limits at the public door: they flag, and slow down by a page that can be posted again. They never drop."""

from gateway.public.door import PublicDoor
from gateway.public.visiting.drafts import JourneyKeys
from gateway.public.visiting.visit import find_wait_mark, forget_wait, is_walking_on, remember_wait


def is_asked_to_wait(door: PublicDoor, name: str, *, walker: JourneyKeys | None = None) -> bool:
    """Count this request; say whether its sender is over the limit and has not waited yet.

    A wait lets one request through, and a step of `walker` also those of the same journey that follow for a while.
    """
    return door.limits.limit_state(name).is_over and is_held_up(door, walker=walker)


def is_held_up(door: PublicDoor, *, walker: JourneyKeys | None = None) -> bool:
    """Say whether somebody who is over a limit must wait now; who has waited uses that up."""
    if walker is not None and is_walking_on(walker):
        return False
    mark = find_wait_mark()
    # Counted here, not in the cookie alone: a cookie can be copied and sent a hundred times.
    if mark is not None and not door.limits.limit_state("public-wait", subject=mark).is_over:
        forget_wait(walks_on=walker)
        return False
    remember_wait(door)
    return True
