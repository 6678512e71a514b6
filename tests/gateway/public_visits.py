"""A visit at the public door as it stands at some page, walked once in a process and put into other houses.

For tests whose subject begins at that page: the database, the cookie and the page are those of a real walk. What the
process alone remembers (counts of limits) is not carried over. A house that anything has happened in, or whose settings
differ, is walked for real.
"""

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse
