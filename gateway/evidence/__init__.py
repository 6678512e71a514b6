"""Sealed evidence at the gateway: bytes in blobs, rows in the store.

Never decrypts: parts are ciphertext, and the key is inside a sealed report.
"""

import hashlib

from gateway.config import GatewayConfig, StateFolder
from gateway.evidence.blobs import Blobs, FreeShare, LocalBlobs, measure_free_share
from gateway.web.settings import SettingsError


def open_blobs(config: GatewayConfig, *, folder: StateFolder, measure: FreeShare = measure_free_share) -> Blobs:
    """Return the place of this gateway's blobs; raises `SettingsError` if the library of a bucket is missing."""
    place = config.evidence
    if not place.store_uri:
        return LocalBlobs(folder.evidence, measure=measure)
    try:
        from gateway.evidence.bucket import Bucket, BucketPlace
    except ImportError:
        raise SettingsError(
            "evidence.store_uri needs the package `obstore`: pip install report-abuse-gateway[objects]",
            reason="no-library",
        ) from None
    # All gateways that share a database have these, and no two databases do.
    names = "\n".join((config.environment, config.public_origin, config.instance))
    return Bucket(
        BucketPlace(uri=place.store_uri, endpoint=place.store_endpoint, region=place.store_region),
        owner=hashlib.sha256(names.encode()).hexdigest().encode(),
    )
