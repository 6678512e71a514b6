"""Who gets a digest: a partner that adopted the button, or one with a significant number of incidents (R43).

Reads the noisy total only, so being asked whether a small partner is eligible reveals no more than the tables do.
"""

DEFAULT_THRESHOLD = 20


def is_eligible(*, adopted: bool, noisy_total: int, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made from these draws; one limb is enough."""
    return adopted or noisy_total >= threshold
