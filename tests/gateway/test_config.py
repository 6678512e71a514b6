"""Settings are strict, and a gateway with a private key that is not its own does not start."""

from pathlib import Path

import pytest

from gateway.config import (
    EvidenceConfig,
    GatewayConfig,
    LimitsConfig,
    ListenerConfig,
    check_config,
    load_config,
    write_config,
)
from gateway.keys import ForeignKeyError
from gateway.web.settings import SettingsError, check_origin, read_settings
from partner_sdk.client.exchange import check_origin as check_origin_of_a_client
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import KeyRole, write_key_file
from tests.builders import Agency, House, make_house, make_key

FOREIGN_ROLES = [role for role in KeyRole if role not in {KeyRole.RECEIPT, KeyRole.LOG, KeyRole.COOKIE}]
PEM = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return make_house(tmp_path / "gateway")


def make_config(**changes: object) -> GatewayConfig:
    fields: dict[str, object] = {
        "environment": "live",
        "instance": "gateway-1",
        "public_origin": "https://report.example",
        "feed_origin": "https://feed.example",
        "listeners": (ListenerConfig(host="127.0.0.1", port=8080, roles=("public", "industry")),),
        **changes,
    }
    return GatewayConfig(**fields)  # type: ignore[arg-type]  # tests name values of the wrong kind too


def add_line(house: House, line: str, *, at_top: bool = False) -> None:
    path = house.state / "gateway.toml"
    text = path.read_text()
    path.write_text(f"{line}\n{text}" if at_top else f"{text}\n{line}\n")


def test_written_settings_read_back_the_same(tmp_path: Path) -> None:
    house = make_house(tmp_path / "gateway")
    odd = make_config(
        instance="gateway-test",
        agency_name='The "Agency" \\ Ŵŷ\x7f',
        banner="This is a demonstration.\nNothing reaches anyone.",
        lock_timeout_seconds=0.25,
        trusted_proxies=2,
        drafts_max_rows=17,
        drafts_max_rows_per_network=3,
        limits=LimitsConfig(storage_uri="valkeys://gateway@limits.example:6379/0", partner_reports_per_minute=7),
        evidence=EvidenceConfig(
            partner_gib=3, least_free_percent=33, store_uri="s3://reports-evidence/gateway-1", store_region="eu-west-2"
        ),
        listeners=(
            ListenerConfig(host="::1", port=1, roles=("public", "industry"), workers=3, threads=9),
            ListenerConfig(host="127.0.0.1", port=2, roles=("feed",)),
        ),
    )
    (house.state / "gateway.toml").unlink()
    write_config(house.state / "gateway.toml", odd)
    assert load_config(house.state) == odd
    with pytest.raises(LocalStateError, match=r"gateway\.toml already exists"):
        write_config(house.state / "gateway.toml", odd)


@pytest.mark.parametrize(
    ("line", "at_top", "name"),
    [
        ("colour = 1", True, "colour"),
        ("[limits_of_growth]", False, "limits_of_growth"),
        ("private_key = 'x'", True, "private_key"),
        ("debug = true", False, "debug"),  # lands in the last listener
    ],
)
def test_unknown_key_is_an_error_that_names_it(house: House, line: str, at_top: bool, name: str) -> None:
    add_line(house, line, at_top=at_top)
    with pytest.raises(SettingsError, match=name):
        load_config(house.state)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('environment = "live"', 'environment = "test"', "environment"),
        ("trusted_proxies = 0", 'trusted_proxies = "0"', "trusted_proxies"),
        ("trusted_proxies = 0", "trusted_proxies = 9", "trusted_proxies"),
        ("lock_timeout_seconds = 5.0", "lock_timeout_seconds = 0", "lock_timeout_seconds"),
        ("drafts_max_rows = 20000", "drafts_max_rows = 0", "drafts_max_rows"),
        ("drafts_max_rows_per_network = 1000", "drafts_max_rows_per_network = 0", "drafts_max_rows_per_network"),
        ("port = 8700", "port = 0", "port"),
        ("port = 8700", "port = 8700.5", "port"),
        ("workers = 2", "workers = 0", "workers"),
        ("metrics_port = 0", "metrics_port = 70000", "metrics_port"),
        ('roles = ["industry"]', 'roles = ["desk"]', "roles"),
        ('roles = ["industry"]', "roles = []", "roles"),
        ('roles = ["industry"]', 'roles = ["industry","industry"]', "roles"),
        ('roles = ["industry"]', 'roles = ["industry","feed"]', "feed must have a listener of its own"),
        ('instance = "gateway-test"', 'instance = "Gateway Test"', "instance"),
        ('agency_name = "The agency"', 'agency_name = " "', "agency_name"),
        ("partner_reports_per_minute = 1200", "partner_reports_per_minute = 0", "partner_reports_per_minute"),
        ("partner_gib = 200", "partner_gib = 0", "evidence.partner_gib"),
        ("partner_gib = 200", "partner_gib = 1000001", "evidence.partner_gib"),
        ("least_free_percent = 20", "least_free_percent = 4", "evidence.least_free_percent"),
        ("least_free_percent = 20", "least_free_percent = 91", "evidence.least_free_percent"),
        ('public_origin = "https://report.example"', "", "public_origin"),
        *(
            ('database_uri = ""', f'database_uri = "{uri}"', "database_uri")
            for uri in (
                "sqlite:///gateway.sqlite",
                "mysql://gateway@db/reports",
                "postgresql://gateway:secret@localhost/reports",
                "postgresql://gateway@localhost/reports?password=secret",
                "postgresql://gateway@db.example/reports",
                "postgresql://gateway@localhost,db.example:5433/reports?sslmode=require",
                "postgresql://gateway@/reports?host=db.example",
                "postgresql://gateway@localhost/reports?hostaddr=192.0.2.1",
                "postgresql://gateway@127.0.0.1.example/reports",
                "postgresql://gateway@db.example@localhost/reports",
                "postgresql://gateway@[::1/reports",
                "postgresql://gateway@localhost,db.example/reports?sslmode=prefer#?sslmode=verify-full",
                "postgresql://gateway@local host/reports",
                "postgresql://gateway@db.example/reports?sslmode=verify-full&ssl=true",
                "postgresql://gateway@db.example/reports?sslmode=disable&sslmode=verify-full",
                "postgresql://gateway@db.example/reports?sslmode=verify-full&sslpassword=secret",
                "postgresql://gateway@localhost/reports?host=db.example&host=localhost",
                "postgresql://gateway@localhost/reports?sslmode=wrong",
                "postgresql://gateway@localhost/reports?options=-c%20synchronous_commit%3Doff",
                "postgresql:///reports?PASSWORD=secret",
                "postgresql:///reports?service=remote",
            )
        ),
    ],
)
def test_value_that_cannot_work_is_an_error_that_names_its_key(house: House, old: str, new: str, name: str) -> None:
    path = house.state / "gateway.toml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=name):
        load_config(house.state)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql:///reports",
        "postgresql://gateway@/reports?host=/var/run/postgresql",
        "postgresql://gateway@127.0.0.1:5433/reports",
        "postgresql://gateway@[::1]/reports",
        "postgresql://gateway@db-1.example,db-2.example:5433/reports?sslmode=verify-full&sslrootcert=system",
    ],
)
def test_address_of_a_server_is_taken_on_this_machine_or_with_proof_of_the_server(uri: str) -> None:
    check_config(make_config(database_uri=uri))


def test_unknown_option_of_an_address_is_refused_with_the_known_ones() -> None:
    """A wrong option must not first appear as a server that cannot be reached."""
    with pytest.raises(SettingsError, match=r"each at most once: channel_binding, host, .*sslmode") as refused:
        check_config(make_config(database_uri="postgresql://gateway@db.example/reports?sslmode=verify-full&marker=1"))
    assert "marker" not in str(refused.value)


@pytest.mark.parametrize(
    "raw",
    [b"environment = ", b"\xff\xfe", b"x = 1\n" * 20_000],
    ids=["not TOML", "not UTF-8", "too large"],
)
def test_unreadable_settings_are_an_error(house: House, raw: bytes) -> None:
    (house.state / "gateway.toml").write_bytes(raw)
    with pytest.raises(SettingsError):
        load_config(house.state)


def test_missing_settings_or_pin_are_an_error(house: House) -> None:
    (house.state / "agency.pin").unlink()
    with pytest.raises(SettingsError, match=r"agency\.pin"):
        load_config(house.state)
    (house.state / "gateway.toml").unlink()
    with pytest.raises(SettingsError, match=r"gateway\.toml"):
        load_config(house.state)


@pytest.mark.parametrize(
    "origin",
    [
        "https://report.example",
        "https://report.example:8443",
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://[::1]:8080",
    ],
)
def test_origin_is_https_or_on_loopback(origin: str) -> None:
    check_origin(origin, key="public_origin")
    # A partner's client must be able to speak with every gateway that can be set up.
    check_origin_of_a_client(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://report.example",
        "http://192.168.1.5:8080",
        "http://127.0.0.1.evil.example",
        "https://report.example/",
        "https://report.example/path",
        "https://report.example?x",
        "https://user@report.example",
        "https://sam:secret@report.example",
        "http://sam:secret@127.0.0.1:8080",
        "https://sam:secret@[::1]",
        "https://Report.example",
        "https://",
        "https://report.example:0",
        "https://report.example:443",
        "http://127.0.0.1:80",
        "https://report.example:99999",
        "https://report.example:x",
        "ftp://report.example",
        "report.example",
        "",
    ],
)
def test_other_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="public_origin"):
        check_origin(origin, key="public_origin")


def test_feed_and_public_door_may_not_share_an_origin() -> None:
    with pytest.raises(SettingsError, match="feed_origin"):
        check_config(make_config(feed_origin="https://report.example"))


def test_two_listeners_may_not_share_an_address() -> None:
    listener = ListenerConfig(host="127.0.0.1", port=8080, roles=("industry",))
    with pytest.raises(SettingsError, match=r"listeners\[1\]"):
        check_config(make_config(listeners=(listener, listener)))


def test_public_door_of_a_sandbox_is_the_practice_form() -> None:
    check_config(make_config(environment="sandbox"))


@pytest.mark.parametrize("word", ["", "Summer", "a b", "-a", "x" * 33, "caf\u00e9"])
def test_campaign_that_is_not_a_plain_word_is_refused(word: str) -> None:
    with pytest.raises(SettingsError, match="campaigns must hold"):
        check_config(make_config(campaigns=("safer-internet-day", word)))


def test_campaigns_survive_the_settings_file(tmp_path: Path) -> None:
    config = make_config(campaigns=("safer-internet-day", "school-talk-2026"))
    write_config(tmp_path / "gateway.toml", config)
    assert read_settings(tmp_path / "gateway.toml", kind=GatewayConfig) == config


def test_environment_must_be_the_one_of_the_pin(house: House) -> None:
    sandbox = make_house(house.state.parent / "sandbox", agency=Agency(environment="sandbox"))
    (house.state / "agency.pin").write_bytes((sandbox.state / "agency.pin").read_bytes())
    with pytest.raises(SettingsError, match="environment"):
        load_config(house.state)


def test_there_are_foreign_roles_to_refuse() -> None:
    assert len(FOREIGN_ROLES) == 13
    assert KeyRole.SEALING in FOREIGN_ROLES


@pytest.mark.parametrize("role", FOREIGN_ROLES, ids=lambda role: role.value)
@pytest.mark.parametrize("place", ["keys/other.key", "other.txt", "deep/down/here"])
def test_gateway_with_a_private_key_that_is_not_its_own_is_refused(house: House, role: KeyRole, place: str) -> None:
    path = house.state / place
    write_key_file(path, make_key(role, name="agency"))
    with pytest.raises(ForeignKeyError, match=rf"is a private {role.value} key\. A gateway holds only"):
        load_config(house.state)


def test_sealing_key_in_the_place_of_the_receipt_key_is_refused(house: House) -> None:
    path = house.state / "keys" / "receipt.key"
    path.unlink()
    write_key_file(path, make_key(KeyRole.SEALING, name="agency"))
    with pytest.raises(ForeignKeyError, match=r"is a private sealing key\. A gateway holds only"):
        load_config(house.state)


@pytest.mark.parametrize(
    ("place", "raw"),
    [
        ("keys/tls.pem", PEM),
        ("tls.pem", PEM),
        ("age.txt", b"AGE-SECRET-KEY-1QQQ\n"),
        ("keys/notes.txt", b"hello"),
        ("keys/damaged.key", b'{"type":"report-abuse/private-sealing-key","secret":"'),
    ],
)
def test_other_private_key_or_unknown_file_among_the_keys_is_refused(house: House, place: str, raw: bytes) -> None:
    (house.state / place).write_bytes(raw)
    with pytest.raises(ForeignKeyError, match=r"[Rr]emove (it|the file)"):
        load_config(house.state)


def test_key_reached_by_a_link_is_refused(house: House) -> None:
    elsewhere = house.state.parent / "elsewhere.key"
    write_key_file(elsewhere, make_key(KeyRole.SEALING, name="agency"))
    (house.state / "link").symlink_to(elsewhere)
    with pytest.raises(ForeignKeyError):
        load_config(house.state)


def test_own_keys_and_plain_files_are_no_reason_to_refuse(house: House) -> None:
    (house.state / "notes.txt").write_text("The agency's number is in the safe.")
    assert load_config(house.state) == house.config


def test_every_refusal_is_an_error_of_the_house() -> None:
    assert issubclass(ForeignKeyError, ReportAbuseError)
    assert issubclass(SettingsError, ReportAbuseError)


def test_settings_of_an_earlier_release_take_evidence_as_the_defaults_say(house: House) -> None:
    path = house.state / "gateway.toml"
    section = "[evidence]\npartner_gib = 200\nleast_free_percent = 20\n"
    bucket = 'store_uri = ""\nstore_endpoint = ""\nstore_region = ""\n'
    assert path.read_text().count(section + bucket) == 1
    for left in (section, ""):
        path.write_text(path.read_text().replace(f"{section}{bucket}" if left else section, left))
        assert load_config(house.state).evidence == EvidenceConfig()


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "memory://",
            "valkey://127.0.0.1:6379/0",
            "valkey://gateway@localhost",
            "valkey+unix:///run/valkey/valkey.sock",
        ),
        *("valkeys://limits.example:6379/0", "valkeys://gateway@limits.example?ssl_ca_certs=/etc/ssl/valkey.pem"),
    ],
)
def test_store_of_limits_is_memory_or_valkey(uri: str) -> None:
    check_config(make_config(limits=LimitsConfig(storage_uri=uri)))


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "redis://127.0.0.1",
            "memcached://127.0.0.1",
            "async+valkey://127.0.0.1",
            "valkey",
            "valkeys://",
            "valkeys://[",
        ),
        *("valkey://limits.example", "valkey://192.0.2.1:6379", "valkey://", "valkeys://limits.example:port"),
        *("valkey+unix://", "valkey+unix://limits.example/socket", "valkeys://limits.example?ssl_cert_reqs=none"),
        *("valkeys://limits.example?ssl_ca_certs=/a&ssl_ca_certs=/b", "valkeys://limits.example?ssl_ca_certs=/a#b"),
        *("valkeys://:marker@limits.example", "valkeys://gateway:@limits.example", "valkey://gateway:marker@127.0.0.1"),
        "valkeys://limits.example?password=marker",
    ],
)
def test_address_of_the_store_of_limits_is_closed_local_or_under_tls_and_without_a_password(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"limits\.storage_uri") as caught:
        check_config(make_config(limits=LimitsConfig(storage_uri=uri)))
    assert "marker" not in str(caught.value)


def test_two_listeners_with_one_port_for_metrics_are_an_error() -> None:
    listeners = [
        ListenerConfig(host="127.0.0.1", port=port, roles=(role,), metrics_port=9100)
        for port, role in ((8080, "public"), (8081, "feed"))
    ]
    with pytest.raises(SettingsError, match=r"listeners\[1\]\.metrics_port"):
        check_config(make_config(listeners=tuple(listeners)))
