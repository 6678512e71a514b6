"""Carriers: TLS or nothing, a code for every failure, secrets from files, settings that fit one another."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from ipaddress import IPv4Address
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.config import utc_now
from gateway.desk.office.config import (
    CarriersConfig,
    DeskConfig,
    DeskPaths,
    check_config,
    load_config,
)
from gateway.desk.outbox.carriers import DeliveryError, SmtpCarrier, SmtpLogin, read_secret_lines
from gateway.web.settings import SettingsError, format_settings
from partner_sdk.errors import LocalStateError
from tests.desk.mail_server import run_lying_server, run_mail_server

HOST = "127.0.0.1"


@dataclass
class Certificate:
    """A self-signed certificate of 127.0.0.1, and the settings that trust it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Certificate(server, ssl.create_default_context(cafile=str(file)))


def make_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = "hello@team.example", "sam@mail.example", "<one@team.example>"
    mail.set_content("Hello.\n")
    return mail


def refused(port: int, **settings: Any) -> str:
    wanted = {"security": "none", "helo_name": "team.example", "total_seconds": 3.0, **settings}
    with pytest.raises(DeliveryError) as caught:
        SmtpCarrier(wanted.pop("host", HOST), port=port, **wanted).send(make_mail())
    assert "sam" not in str(caught.value)
    return caught.value.reason


def test_mail_goes_through_starttls(certificate: Certificate) -> None:
    with run_mail_server(tls_context=certificate.server, require_starttls=True) as mailbox:
        carrier = SmtpCarrier(
            HOST, port=mailbox.port, security="starttls", helo_name="team.example", context=certificate.client
        )
        carrier.check()
        assert mailbox.taken == []
        carrier.send(make_mail())
        assert len(mailbox.taken) == 1
        assert refused(mailbox.port, security="starttls") == "tls"  # nobody of this machine's list vouches for it
    assert len(mailbox.taken) == 1


def test_server_without_starttls_gets_nothing() -> None:
    with run_mail_server() as mailbox:
        assert refused(mailbox.port, security="starttls") == "no-tls"
        assert refused(mailbox.port, security="tls") == "tls"
    assert mailbox.taken == []


def test_mail_without_tls_stays_on_this_machine() -> None:
    assert refused(25, host="mail.example") == "no-tls"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"recipient_answer": "550 unknown"}, "address-refused"),
        ({"recipient_answer": "450 later"}, "address-delayed"),
        ({"data_answer": "554 no"}, "mail-refused"),
        ({"sender_answer": "550 not from you"}, "sender-refused"),
    ],
)
def test_what_a_server_says_becomes_a_code(answers: dict[str, str], reason: str) -> None:
    with run_mail_server() as mailbox:
        for name, answer in answers.items():
            setattr(mailbox, name, answer)
        assert refused(mailbox.port) == reason


def test_login_that_is_not_offered_is_a_code() -> None:
    login = SmtpLogin("team", "secret word")
    assert "secret" not in repr(login)
    with run_mail_server() as mailbox:
        assert refused(mailbox.port, login=login) == "no-tls"


def trickle(piece: bytes, *, count: int) -> Iterator[bytes]:
    """Yield a piece again and again, each long before a time-out for one read."""
    for _ in range(count):
        time.sleep(0.02)
        yield piece


GREETING, DONE = [b"220 mail.example\r\n"], [b"250 OK\r\n"]
TALK = [GREETING, DONE, DONE, DONE, [b"354 Go on\r\n"]]  # EHLO, MAIL, RCPT, DATA


@pytest.mark.parametrize(
    "answers",
    [
        [trickle(b"220-wait\r\n", count=3000)],
        [trickle(b"2", count=3000)],
        [GREETING, trickle(b"250-wait\r\n", count=3000)],
        [*TALK[:3], trickle(b"250-wait\r\n", count=3000)],
    ],
    ids=["lines", "one line", "hello", "recipient"],
)
def test_server_that_answers_for_ever_has_one_deadline_for_the_whole_mail(answers: list[Any]) -> None:
    with run_lying_server(answers) as port:
        assert refused(port, total_seconds=0.3) == "timeout"


def test_mail_has_no_deadline_of_its_own_for_each_step() -> None:
    slow = [trickle(b"250-wait\r\n", count=10), DONE]
    with run_lying_server([GREETING, *([chain(*slow)] * 3)]) as port:
        assert refused(port, total_seconds=0.3) == "timeout"


def test_flood_of_lines_is_cut_off() -> None:
    sent = list[int]()

    def flood() -> Iterator[bytes]:
        for number in range(10_000):  # 80 MB
            sent.append(number)
            yield b"220-x\r\n" * 1000

    with run_lying_server([flood()]) as port:
        assert refused(port, total_seconds=60.0) == "server-error"
    assert len(sent) < 5_000


@pytest.mark.parametrize("goodbye", [[], [b"500 no\r\n"], [b"221-bye\r\n"]], ids=["silence", "no", "half"])
def test_mail_that_was_taken_is_sent_whatever_the_server_does_then(
    goodbye: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.desk.outbox.carriers._QUIT_SECONDS", 0.1)
    unanswered = [[]] * make_mail().as_bytes().count(b"\n")  # the lines of the mail; then comes the full stop
    with run_lying_server([*TALK, *unanswered, [b"250 taken\r\n"], goodbye]) as port:
        SmtpCarrier(HOST, port=port, security="none", helo_name="team.example", total_seconds=30.0).send(make_mail())


def test_secret_file_is_closed_to_others_and_holds_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "login"
    with pytest.raises(LocalStateError) as missing:
        read_secret_lines(file, count=2)
    file.write_text("team\nsecret word\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(LocalStateError) as opened:
        read_secret_lines(file, count=2)
    file.chmod(0o600)
    with pytest.raises(LocalStateError) as wrong:
        read_secret_lines(file, count=1)
    reasons = [caught.value.reason for caught in (missing, opened, wrong)]
    assert reasons == ["no-secret-file", "open-to-others", "bad-secret-file"]
    assert read_secret_lines(file, count=2) == ["team", "secret word"]


def make_config(carriers: dict[str, Any]) -> DeskConfig:
    return DeskConfig(
        environment="live",
        gateway_origin="https://report.example",
        feed_url="https://feed.report.example",
        carriers=CarriersConfig(**carriers),
    )


MAIL = {"mail": "smtp", "mail_from": "hello@team.example", "smtp_host": "mail.team.example"}
SMS = {"sms": "webhook", "sms_sender": "Hello Team", "sms_url": "https://sms.example/send"}


def test_settings_are_read_as_they_are_written(tmp_path: Path) -> None:
    config = make_config(
        {**MAIL, **SMS, "notes": "on", "mail_name": 'The "team" = [x]', "sms_country_codes": ("44", "353")},
    )
    paths = DeskPaths(tmp_path)
    paths.config.write_text(format_settings(config), encoding="utf-8")
    assert load_config(paths) == config


@pytest.mark.parametrize(
    ("carriers", "key"),
    [
        ({**MAIL, "mail_from": "no address"}, "carriers.mail_from"),
        ({**MAIL, "mail_from": "hello@Team.example"}, "carriers.mail_from"),
        ({**MAIL, "mail_name": "a\r\nBcc: b@c.example"}, "carriers.mail_name"),
        ({**MAIL, "smtp_host": ""}, "carriers.smtp_host"),
        ({**MAIL, "smtp_port": 0}, "carriers.smtp_host"),
        ({**MAIL, "smtp_security": "none"}, "carriers.smtp_security"),
        ({**SMS, "sms_sender": "Hello Team 12"}, "carriers.sms_sender"),
        ({**SMS, "sms_sender": ""}, "carriers.sms_sender"),
        ({**SMS, "sms_url": "http://sms.example/send"}, "carriers.sms_url"),
        ({**SMS, "sms_url": "https://name:word@sms.example/send"}, "carriers.sms_url"),
        ({**SMS, "sms_country_codes": ("+44",)}, "carriers.sms_country_codes"),
        ({**SMS, "sms_country_codes": ()}, "carriers.sms_country_codes"),
        ({**SMS, "sms_country_codes": ("44", "1")}, "carriers.sms_country_codes"),
        ({**SMS, "sms_country_codes": ("120",)}, "carriers.sms_country_codes"),
        ({**SMS, "sms_most_a_day": 0}, "carriers.sms_most_a_day"),
        ({**MAIL, "mail_most_a_day_per_domain": -1}, "carriers.mail_most_a_day_per_domain"),
        ({"sms": "folder", "sms_sender": "Team"}, "carriers.folder"),
    ],
)
def test_setting_that_does_not_fit_is_named(carriers: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_config(make_config(carriers))
    assert str(caught.value).startswith(key)


def test_no_secret_has_a_place_in_the_settings() -> None:
    names = {field.name for kind in (CarriersConfig,) for field in msgspec.structs.fields(kind)}
    assert len(names) >= 14
    assert [name for name in names if ("login" in name or "token" in name) and not name.endswith("_file")] == []
    assert not any("password" in name for name in names)
