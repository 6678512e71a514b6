"""How often checks may be handed in at the desk's listener: so many in a minute, by the runner or by all others.

Kept in memory by the one process that serves the pages; a restart forgets it.
"""

from collections import deque
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

# 20,000 placements in posts of 200 checks are 100 posts.
MOST_POSTS: Final = 120
WINDOW: Final = timedelta(minutes=1)


class PostRate:
    """Counts the posts of the last minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: deque[datetime] = deque()

    def take(self, now: datetime) -> int:
        """Count one post and return 0, or return after how many seconds there is room for one."""
        with self._lock:
            # A clock that was set back must not shut the door until it has caught up.
            self._taken = deque(at for at in self._taken if now - WINDOW < at <= now)
            if len(self._taken) < MOST_POSTS:
                self._taken.append(now)
                return 0
            return max(1, -(-(self._taken[0] + WINDOW - now) // timedelta(seconds=1)))
