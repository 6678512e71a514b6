"""Says of an error that nobody expected what it is and where, and nothing else: its words may be those of a report.

Never the message and never a line of a traceback: a library quotes there what it was given.
"""

import traceback
from pathlib import PurePath


def describe_unexpected(error: BaseException) -> str:
    """Return the type of an error, and the file and line in which it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {PurePath(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
