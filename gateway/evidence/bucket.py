"""Blobs in a bucket of an S3-compatible store: one object each, `<prefix>/<name>`.

A part has at most 8 MiB, so it is one request: either the whole object is there or nothing, and a checksum that the
store compares goes with it. Credentials come from the environment, as obstore reads them. Never waits without a limit
for the store, and after a silence lets one call at a time try. Why: docs/decisions/0041.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from gateway.databases.failures import FailureReason, make_storage_error
from gateway.evidence.blobs import check_blob_name, is_blob_name

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_SECONDS: Final = 2
QUICK_SECONDS: Final = 4  # sizes, lists, deletions
BYTES_SECONDS: Final = 15  # a whole part, e.g. 8 MiB at 4.5 Mbit/s
SILENT_SECONDS: Final = 2  # a call that failed after less was answered, or refused at once
TRY_AGAIN_SECONDS: Final = 5
SIZES_AT_ONCE: Final = 32
_PAGE: Final = 500
OWNER: Final = "owner"


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where a bucket is. `endpoint` and `region` are empty for those of AWS and of the environment."""

    uri: str
    """e.g. `s3://reports-evidence/gateway-1`"""
    endpoint: str
    region: str


class Bucket:
    """The blobs under one prefix. `owner` names the gateway whose rows name them, and nobody can read it back."""

    def __init__(self, place: BucketPlace, *, owner: bytes) -> None:
        self._place = place
        self._owner = owner
        self._lock = threading.Lock()
        self._is_silent = False
        self._try_at = 0.0

    @contextmanager
    def new_blob(self, name: str) -> Iterator["BucketBlob"]:
        """Begin a blob in memory, at most one part; `keep` sends it."""
        check_blob_name(name)
        yield BucketBlob(self, name)

    def put_blob(self, name: str, pieces: Sequence[bytes]) -> None:
        """Store an object whole, unless there is one; returns once the store has acknowledged it."""
        with self._calling():
            obstore.put(self._store, name, pieces, mode="create", use_multipart=False)

    def measure_blobs(self, names: Sequence[str]) -> dict[str, int]:
        """Return the size of each object that exists."""
        for name in names:
            check_blob_name(name)
        with self._calling():
            return asyncio.run(self._measure(names))

    def read_blob(self, name: str) -> bytes:
        """Return the contents of the object."""
        check_blob_name(name)
        try:
            # Not remembered as a silence: a store may try long to mend one object, and the desk asks for the next one.
            return obstore.get(self._store, name).bytes().to_bytes()
        except (BaseError, OSError) as error:
            raise make_storage_error(_get_reason(error)) from error

    def remove_blobs(self, names: Sequence[str]) -> None:
        """Delete objects."""
        for name in names:
            check_blob_name(name)
        if names:
            with self._calling():
                obstore.delete(self._quick, list(names))

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[str]]:
        """Yield the names of old objects; ignores others, which are not ours to delete.

        Raises `StorageUnavailableError` if another gateway owns the prefix: its evidence has no rows here.
        """
        self._check_owner()
        pages = obstore.list(self._quick, chunk_size=_PAGE)
        while True:
            with self._calling():
                page = next(pages, None)
            if page is None:
                return
            yield [one["path"] for one in page if is_blob_name(one["path"]) and one["last_modified"] < before]

    def find_free_share(self) -> float | None:
        """Return None: a bucket shows no end. A store that is full refuses the part."""
        return None

    async def _measure(self, names: Sequence[str]) -> dict[str, int]:
        turns = asyncio.Semaphore(SIZES_AT_ONCE)
        sizes: dict[str, int] = {}

        async def measure(name: str) -> None:
            async with turns:
                try:
                    sizes[name] = (await obstore.head_async(self._quick, name))["size"]
                except FileNotFoundError:
                    return

        async with asyncio.timeout(BYTES_SECONDS):
            await asyncio.gather(*map(measure, names))
        return sizes

    def _check_owner(self) -> None:
        with self._calling():
            try:
                owner = self._read_owner()
            except FileNotFoundError:
                with suppress(AlreadyExistsError):  # another process of this gateway, or another gateway, was faster
                    obstore.put(self._quick, OWNER, self._owner, mode="create", use_multipart=False)
                owner = self._read_owner()
        if owner != self._owner:
            raise make_storage_error("unsafe")

    def _read_owner(self) -> bytes:
        return obstore.get(self._quick, OWNER).bytes().to_bytes()

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Turn the store's errors into ours. While it is silent, refuse at once all calls but one now and then."""
        began = monotonic()
        with self._lock:
            if self._is_silent and began < self._try_at:
                raise make_storage_error("missing")
            self._try_at = began + TRY_AGAIN_SECONDS
        try:
            yield
        except (BaseError, OSError) as error:
            ended = monotonic()
            with self._lock:
                self._is_silent = ended - began >= SILENT_SECONDS
                self._try_at = ended + TRY_AGAIN_SECONDS
            raise make_storage_error(_get_reason(error)) from error
        with self._lock:
            self._is_silent = False

    @cached_property
    def _quick(self) -> S3Store:
        return _open(self._place, seconds=QUICK_SECONDS)

    @cached_property
    def _store(self) -> S3Store:
        return _open(self._place, seconds=BYTES_SECONDS)


class BucketBlob:
    """A blob that is held in memory until it is kept."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        self._pieces.append(piece)

    def keep(self) -> None:
        """Store the object; raises `StorageUnavailableError`, also for a name that is taken."""
        self._bucket.put_blob(self._name, self._pieces)


def _open(place: BucketPlace, *, seconds: float) -> S3Store:
    bucket, _, prefix = place.uri.removeprefix("s3://").partition("/")
    # Each setting that the environment could weaken is given here, because obstore reads e.g. AWS_ENDPOINT_URL_S3,
    # AWS_SKIP_SIGNATURE and AWS_ALLOW_HTTP from it too.
    config: S3Config = {
        "checksum_algorithm": "SHA256",
        "conditional_put": "etag",
        "skip_signature": False,
        "unsigned_payload": False,
    }
    if place.endpoint:
        config["endpoint"] = config["aws_endpoint_url_s3"] = place.endpoint
    if place.region:
        config["region"] = place.region
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": place.endpoint.startswith("http:"),  # on loopback alone: gateway/config.py
            "allow_invalid_certificates": False,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=seconds),
            "user_agent": "report-abuse-gateway",
        },
        # A part that was stored while its answer got lost is a name that is taken: the partner repeats the part.
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=SILENT_SECONDS / 2)},
    )


def _get_reason(error: Exception) -> FailureReason:
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "read-only"
    return "broken" if isinstance(error, AlreadyExistsError) else "missing"
