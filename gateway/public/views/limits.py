"""Limits at the public door: they flag, and slow down by a page that can be posted again. They never drop."""

from gateway.public.door import PublicDoor
from gateway.public.visiting.visit import has_waited, remember_wait
from partner_sdk.public_codes import LIMITED_SIGNAL


def is_asked_to_wait(door: PublicDoor, name: str, *, for_new_journey: bool = False) -> bool:
    """Count this request; say whether its sender is over the limit and has not waited yet."""
    if not door.limits.limit_state(name).is_over:
        return False
    if has_waited(for_new_journey=for_new_journey):
        return False
    remember_wait(door)
    return True


def list_limit_signals(door: PublicDoor, name: str) -> list[str]:
    """Count this request; list the signal for the desk when its sender is over the limit."""
    return [LIMITED_SIGNAL] if door.limits.limit_state(name).is_over else []
