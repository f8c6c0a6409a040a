"""hyperdrive-proxy --verify against real Postgres servers, with and without TLS: steps, codes, words, no secrets."""

import functools
import socket

import pytest
from support import verification
from support.ports import free_port
from support.postgres import Postgres
from support.tls import Authority
from support.verification import PASSWORD, Liar, Relay, failed

HBA = """local all all trust
hostssl all certuser 127.0.0.1/32 cert
hostssl all needscert 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all tlsonly 127.0.0.1/32 scram-sha-256
hostnossl all plainonly 127.0.0.1/32 scram-sha-256
host all md5user 127.0.0.1/32 md5
host all clear 127.0.0.1/32 password
host all trusted 127.0.0.1/32 trust
host all app,scram 127.0.0.1/32 scram-sha-256
"""


verify = functools.partial(verification.verify, user="scram", password=PASSWORD)


@pytest.fixture(scope="module")
def authority():
    authority = Authority()
    authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1", days=5)
    authority.issue("other", "elsewhere.example", "DNS:elsewhere.example")
    authority.issue("client", "certuser")
    yield authority
    authority.remove()


def make_users(pg):
    for user in ("scram", "tlsonly", "plainonly", "clear", "trusted", "certuser", "needscert"):
        pg.psql(f"create role {user} login password $${PASSWORD}$$")
    pg.psql(f"set password_encryption = 'md5'; create role md5user login password $${PASSWORD}$$")


@pytest.fixture(scope="module")
def plain():
    with Postgres(hba=HBA) as pg:
        make_users(pg)
        yield pg


@pytest.fixture(scope="module")
def secure(authority):
    settings = {"ssl": "on", "ssl_cert_file": authority.path("server.pem"),
                "ssl_key_file": authority.path("server.key"), "ssl_ca_file": authority.path("ca.pem")}
    with Postgres(hba=HBA, settings=settings) as pg:
        make_users(pg)
        yield pg


# --- it works ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("user, method", [("scram", "SCRAM-SHA-256"), ("md5user", "md5"), ("trusted", "trust")])
def test_plain_logins(plain, user, method):
    report = verify(plain.port, user=user)
    assert report["ok"], report
    assert report["by"]["login"]["method"] == method
    assert report["by"]["login"]["round_trips"] == {"SCRAM-SHA-256": 3, "md5": 2, "trust": 1}[method]
    assert report["by"]["dns"]["addresses"] == ["127.0.0.1"]
    assert report["server"]["version"].startswith("15.")
    assert 150000 <= report["server"]["version_num"] < 160000
    assert report["server"]["max_connections"] == 100
    assert report["server"]["wal_level"] == "replica"
    assert report["round_trip_ms"] > 0


@pytest.mark.parametrize("user, method", [("scram", "SCRAM-SHA-256-PLUS"), ("clear", "password"),
                                          ("md5user", "md5"), ("tlsonly", "SCRAM-SHA-256-PLUS")])
@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_logins_inside_tls(secure, user, method, sslmode):
    report = verify(secure.port, user=user, sslmode=sslmode)
    assert report["ok"], report
    assert report["by"]["login"]["method"] == method
    tls = report["by"]["tls"]
    assert tls["version"] == "TLSv1.3"
    assert tls["certificate"]["subject"] == "CN=localhost"
    assert tls["certificate"]["verified"] is False


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_own_authority(secure, authority, sslmode):
    report = verify(secure.port, host="localhost", sslmode=sslmode, ca=authority.read("ca.pem"))
    assert report["ok"], report
    assert report["by"]["tls"]["certificate"]["verified"] is True
    # The certificate ends in five days.
    assert report["by"]["tls"]["status"] == "warning"
    assert "certificate ends in" in report["warnings"][0]


def test_client_certificate(secure, authority):
    client = (authority.read("client.pem"), authority.read("client.key"))
    report = verify(secure.port, user="certuser", password="", sslmode="verify-full", ca=authority.read("ca.pem"),
                    client=client)
    assert report["ok"], report
    assert report["by"]["login"]["method"] == "trust"
    assert verify(secure.port, user="needscert", sslmode="require", client=client)["ok"]


def test_prefer_goes_on_in_plain(plain, secure):
    report = verify(plain.port, sslmode="prefer")
    assert report["ok"] and "does not speak TLS" in report["by"]["tls"]["message"], report
    # TLS works, but this user may only come without it.
    report = verify(secure.port, user="plainonly", sslmode="prefer")
    assert report["ok"] and report["by"]["login"]["method"] == "SCRAM-SHA-256", report


def test_allow_turns_to_tls_when_it_must(secure):
    report = verify(secure.port, user="scram", sslmode="allow")
    assert report["ok"] and "version" not in report["by"]["tls"], report
    report = verify(secure.port, user="tlsonly", sslmode="allow")
    assert report["ok"] and report["by"]["tls"]["version"] == "TLSv1.3", report


def test_more_connections_than_the_origin_allows(plain):
    report = verify(plain.port, limit=98)
    assert report["ok"] and report["by"]["query"]["status"] == "warning"
    assert "98" in report["warnings"][0] and "97" in report["warnings"][0]


# --- it does not, and says why ------------------------------------------------------------------------

@pytest.mark.parametrize("user", ["scram", "md5user"])
def test_wrong_password(plain, user):
    assert "password authentication failed" in failed(verify(plain.port, user=user, password="wrong"), "login", 2013)


def test_unknown_user(plain):
    failed(verify(plain.port, user="nobody_here"), "login", 2013)


def test_no_such_database(plain):
    report = verify(plain.port, database="attic")
    assert "attic" in failed(report, "database", 2014)
    assert report["by"]["login"]["method"] == "SCRAM-SHA-256"


def test_closed_port():
    failed(verify(free_port()), "tcp", 2011)


def test_unknown_host():
    assert "no-such-host.invalid" in failed(verify(5432, host="no-such-host.invalid"), "dns", 2008)


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_no_tls_there(plain, sslmode):
    failed(verify(plain.port, sslmode=sslmode), "tls", 2012)


def test_allow_without_tls_there_tells_of_the_login(plain):
    assert "pg_hba.conf" in failed(verify(plain.port, user="tlsonly", sslmode="allow"), "login", 2013)


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_certificate_not_trusted(secure, sslmode):
    message = failed(verify(secure.port, sslmode=sslmode), "tls", 2015)
    assert "certificate verify failed" in message


def test_certificate_of_another_name(secure, authority):
    with open("/etc/hosts") as hosts:
        name = socket.gethostname()
        if not any(line.startswith("127.") and name in line.split() for line in hosts):
            name = "127.0.0.2"
    ca = authority.read("ca.pem")
    with_relay = Relay(secure.port, "127.0.0.2") if name == "127.0.0.2" else None
    try:
        port = with_relay.port if with_relay else secure.port
        message = failed(verify(port, host=name, sslmode="verify-full", ca=ca), "tls", 2015)
        assert "mismatch" in message
        assert verify(port, host=name, sslmode="verify-ca", ca=ca)["ok"]
    finally:
        if with_relay:
            with_relay.close()


@pytest.mark.parametrize("user", ["certuser", "needscert"])
def test_client_certificate_wanted(secure, user):
    report = verify(secure.port, user=user, sslmode="require")
    failed(report, "login", 2015)
    assert "certificate" in report["message"] and "--mtls-certificate-id" in report["hint"]


def test_unreadable_certificates(secure):
    failed_at = verify(secure.port, sslmode="verify-ca", ca="not PEM")
    assert failed_at["code"] == 2015 and "CA certificate" in failed_at["message"]


def test_cleartext_password_is_not_sent_in_plain(plain):
    report = verify(plain.port, user="clear")
    assert "in the clear" in failed(report, "login", 2015)


# --- servers that are none ----------------------------------------------------------------------------

@pytest.mark.parametrize("sslmode, step", [("disable", "login"), ("require", "tls")])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff" * 100_000],
                         ids=["http", "nothing", "noise"])
def test_not_a_postgres(sslmode, step, answer):
    with Liar(answer) as liar:
        assert failed(verify(liar.port, sslmode=sslmode), step, 2015)


@pytest.mark.parametrize("sslmode, step", [("disable", "login"), ("require", "tls")])
def test_silence_ends_in_time(sslmode, step):
    with Liar(b"", close=False) as liar:
        message = failed(verify(liar.port, sslmode=sslmode, timeout_ms=1500), step, 2015)
        assert "1500 ms" in message


def test_plain_bytes_before_the_handshake_are_refused():
    with Liar(b"SR\0\0\0\x08\0\0\0\0", close=False) as liar:
        failed(verify(liar.port, sslmode="require", timeout_ms=15000), "tls", 2015)


def test_a_server_that_skips_the_proof():
    """AuthenticationSASL, then at once AuthenticationOk: it never showed that it knows the password."""
    sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0" + b"R\0\0\0\x08\0\0\0\0"
    with Liar(sasl, close=False) as liar:
        message = failed(verify(liar.port, timeout_ms=15000), "login", 2015)
        assert "without proving" in message


def test_a_server_that_asks_for_endless_stretching():
    sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
    bad = b"r=x,s=AAAA,i=2000000000"
    with Liar(sasl + b"R" + (8 + len(bad)).to_bytes(4, "big") + b"\0\0\0\x0b" + bad, close=False) as liar:
        failed(verify(liar.port, timeout_ms=15000), "login", 2015)


def test_the_origin_is_starting():
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    with Liar(b"E" + (4 + len(fields)).to_bytes(4, "big") + fields) as liar:
        report = verify(liar.port)
        assert "starting up" in failed(report, "login", 2015)
        assert "again" in report["hint"]
