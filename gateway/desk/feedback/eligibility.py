"""Who gets a digest: a partner that adopted the button, or one with a significant number of incidents (R43).

Reads the noisy total only, so being asked whether a small partner is eligible reveals no more than the tables do.

The total is the draw itself, not the one that least squares makes: no negative numbers are left there, which lifts a
partner without incidents. The draw costs epsilon 0.06, so its noise has scale 1 / 0.06 = 16.7, and a partner with no
incident at all is eligible with P(noise >= threshold) = q ** threshold / (1 + q), where q = exp(-0.06): 15.5 % for a
threshold of 20, 1.4 % for 60. A partner with as many incidents as the threshold is eligible about every second time.
"""

DEFAULT_THRESHOLD = 60


def is_eligible(*, adopted: bool, drawn_total: int | None, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made; one limb is enough. Without the draw (lost) only the button counts."""
    return adopted or (drawn_total is not None and drawn_total >= threshold)
