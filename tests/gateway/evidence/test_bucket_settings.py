"""Settings of a bucket: a name, an address with TLS, and no secret."""

import sys

import msgspec
import pytest

from gateway.config import EvidenceConfig, StateFolder, check_config
from gateway.evidence import open_blobs
from gateway.web.settings import SettingsError
from tests.builders import House


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"store_uri": "s3://evidence/"}, "store_uri"),
        ({"store_uri": "s3://Evidence"}, "store_uri"),
        ({"store_uri": "s3://key:secret@evidence/a"}, "store_uri"),
        ({"store_uri": "s3://evidence/../other"}, "store_uri"),
        ({"store_uri": "s3://evidence/a?endpoint=http://store.example"}, "store_uri"),
        ({"store_uri": "https://store.example/evidence"}, "store_uri"),
        ({"store_uri": "file:///evidence"}, "store_uri"),
        ({"store_endpoint": "https://store.example"}, "need evidence.store_uri"),
        ({"store_region": "eu-west-2"}, "need evidence.store_uri"),
        ({"store_uri": "s3://evidence", "store_endpoint": "http://store.example"}, "must use https"),
        ({"store_uri": "s3://evidence", "store_endpoint": "https://key:secret@store.example"}, "store_endpoint"),
        ({"store_uri": "s3://evidence", "store_endpoint": "https://store.example/evidence"}, "store_endpoint"),
        ({"store_uri": "s3://evidence", "store_region": "eu west"}, "store_region"),
    ],
)
def test_bucket_that_is_named_wrongly_or_reached_without_tls_is_refused(
    house: House, settings: dict[str, str], name: str
) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        check_config(msgspec.structs.replace(house.config, evidence=EvidenceConfig(**settings)))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["", "https://store.example:9000", "http://127.0.0.1:8333"])
def test_bucket_is_taken_at_aws_over_tls_or_on_this_machine(house: House, endpoint: str) -> None:
    place = EvidenceConfig(store_uri="s3://reports.evidence/agency/gateway-1", store_endpoint=endpoint)
    check_config(msgspec.structs.replace(house.config, evidence=place))


def test_bucket_without_its_library_is_an_error_that_names_the_extra(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "gateway.evidence.bucket", raising=False)
    config = msgspec.structs.replace(house.config, evidence=EvidenceConfig(store_uri="s3://reports-evidence"))
    with pytest.raises(SettingsError, match=r"pip install report-abuse-gateway\[objects\]"):
        open_blobs(config, folder=StateFolder(house.state))
