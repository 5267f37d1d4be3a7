"""Renewing, moving the CA's key away, and changing over from a certificate that signs itself."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway import authority, config_file, expiry
from gateway.backup import belongings
from gateway.domain.clock import FakeClock
from gateway.intake.tls import TlsHolder
from gateway.soundness import find_advice
from tests import certificates
from tests.office import Office

pytestmark = pytest.mark.one_database("certificates are files")

MakeOffice = Callable[..., Office]
LINES = 'ca = "ca.crt"\nca_key = "ca.key"\n'


def chain_is_good(office: Office, ca: str) -> bool:
    """Whether a client that trusts only that CA would trust `tls.crt`, and the daemon loads it."""
    TlsHolder(config_file.load(office.config).tls)
    server = authority.read_certificates(office.folder / "tls.crt")[0]
    issuer = authority.read_certificates(office.folder / ca)[0]
    try:
        server.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001  # a wrong name or a wrong signature, each its own class
        return False
    return True


def test_the_cas_key_may_lie_elsewhere_and_a_backup_says_that_it_does(
    make_office: MakeOffice,
) -> None:
    office = make_office()
    away = office.folder / "safe"
    away.mkdir()
    (office.folder / "ca.key").rename(away / "ca.key")
    refused = office.run("certificate", "renew", check=False)
    assert (refused.returncode, "ca.key: cannot be read" in refused.stderr) == (1, True)
    settings = config_file.load(office.config)
    kept = belongings.collect(settings, office.config, keys=False)
    assert "setting:tls.ca" in kept.settings
    assert any("ca.key is kept elsewhere" in one for one in kept.without)
    text = office.config.read_text(encoding="utf-8").replace('ca_key = "ca.key"\n', "")
    office.config.write_text(text, encoding="utf-8")
    refused = office.run("certificate", "renew", check=False)
    assert "name it with --ca-key FILE" in refused.stderr
    before = (office.folder / "tls.crt").read_bytes()
    office.here("certificate", "renew", "--ca-key", str(away / "ca.key"))
    assert (office.folder / "tls.crt").read_bytes() != before
    assert chain_is_good(office, "ca.crt")
    assert (office.folder / "tls.key").stat().st_mode & 0o077 == 0


def test_an_office_whose_certificate_signs_itself_works_on_and_can_change_over(
    make_office: MakeOffice,
) -> None:
    office = make_office(changes={LINES: ""})
    own = certificates.make(office.folder, "own", usage=certificates.SERVER)
    own.file.replace(office.folder / "tls.crt")
    own.key.replace(office.folder / "tls.key")
    (office.folder / "tls.key").chmod(0o600)
    for left in ("ca.crt", "ca.key"):
        (office.folder / left).unlink()
    assert office.here("certificate", "ca", "--der") == own.der
    refused = office.run("certificate", "renew", check=False)
    assert (refused.returncode, "make-ca" in refused.stderr) == (1, True)

    told = office.here("certificate", "make-ca", "--name", "10.1.0.25").decode()
    assert "ca_key = " in told and (office.folder / "ca.key").stat().st_mode & 0o077 == 0
    again = office.run("certificate", "make-ca", check=False)
    assert (again.returncode, "nothing was changed" in again.stderr) == (1, True)
    assert not chain_is_good(office, "ca.crt")  # until the operator says so
    text = office.config.read_text(encoding="utf-8").replace("[tls]\n", f"[tls]\n{LINES}")
    office.config.write_text(text, encoding="utf-8")
    office.here("certificate", "renew", "--name", "10.1.0.25")
    assert chain_is_good(office, "ca.crt")
    [server, *_, ca] = json.loads(office.here("certificate", "show", "--json"))
    assert "10.1.0.25" in server["names"]
    pem = office.here("certificate", "ca").decode()
    assert expiry.grouped(ssl.PEM_cert_to_DER_cert(pem)) == ca["sha256"]


async def test_the_health_page_and_check_say_when_the_certificate_ends(
    make_office: MakeOffice,
) -> None:
    office = make_office()
    config = config_file.load(office.config)
    clock = FakeClock(datetime.now(UTC))
    watch = expiry.CertificateWatch(config, clock)
    assert await watch.ending() == ""
    assert not any("certificate" in one for one in find_advice(config))
    clock.advance(timedelta(days=authority.SERVER_DAYS - 29).total_seconds())
    assert "yizhan certificate renew" in await watch.ending()
    (office.folder / "tls.crt").write_text("broken")
    assert "has no certificate" in await watch.ending()
