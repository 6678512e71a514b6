"""Limits at the public door: they flag, and slow down by a page that can be posted again. They never drop."""

from gateway.limits import SLOW_SECONDS
from gateway.public.door import PublicDoor
from gateway.public.visiting.drafts import JourneyKeys
from gateway.public.visiting.visit import forget_wait, get_wait, is_walking_on, remember_wait

# What begins something that is stored. To come back has bounds of its own, see docs/decisions/0017.
QUEUED = ("public-start", "public-adoption")


def is_asked_to_wait(door: PublicDoor, name: str, *, walker: JourneyKeys | None = None) -> bool:
    """Count this request; return whether its sender is over the limit and has not waited yet.

    A wait lets one request through, and a step of `walker` also those of the same journey that follow for a while.
    What begins something new waits in its network's queue: e.g. of a hundred waiting starts one goes on each second.
    """
    if not door.limits.limit_state(name).is_over:
        return False
    return is_held_up(door, queue=name if walker is None and name in QUEUED else "", walker=walker)


def is_held_up(door: PublicDoor, *, queue: str = "", walker: JourneyKeys | None = None) -> bool:
    """Return whether a sender over a limit must wait now; a wait that has ended is used up.

    Without a `queue` the wait is SLOW_SECONDS, however many others wait: Send and a journey's own steps are never
    behind strangers.
    """
    if walker is not None and is_walking_on(walker) and not _is_rushing(door, walker):
        return False
    wait = get_wait()
    # Counted here, not in the cookie alone: a cookie can be copied and sent a hundred times.
    if wait.is_over and not door.limits.limit_state("public-wait", subject=wait.mark).is_over:
        forget_wait(walks_on=walker)
        return False
    if wait.is_ahead:
        return True  # the turn that was given stays
    if not queue:
        remember_wait(door, seconds=SLOW_SECONDS)
        return True
    seconds = door.limits.find_turn(queue)
    if seconds is not None:
        remember_wait(door, seconds=seconds)
    return True


def _is_rushing(door: PublicDoor, walker: JourneyKeys) -> bool:
    """Count a step of a journey that walks on after its wait; return whether no person is as fast."""
    return door.limits.limit_state("public-walk", subject=walker.form_token).is_over
