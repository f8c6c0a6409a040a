"""hyperdrive-proxy --verify against real MariaDB servers, with and without TLS, and against MySQL 8's ways of login."""

import hashlib

import pytest
from support import verification
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.mysql8 import LONG_PASSWORD, MySQL8
from support.ports import free_port
from support.tls import Authority
from support.verification import PASSWORD, Liar, Relay, failed

SCRAMBLE = bytes(range(40, 60))


def native_hash(password: str) -> str:
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


# The launch document has Postgres's words for both protocols.
MODES = {"DISABLED": "disable", "PREFERRED": "prefer", "REQUIRED": "require", "VERIFY_CA": "verify-ca",
         "VERIFY_IDENTITY": "verify-full"}


def verify(port, user="native", password=PASSWORD, sslmode="DISABLED", **more):
    return verification.verify(port, user, password, scheme="mysql", sslmode=MODES[sslmode], **more)


@pytest.fixture(scope="module")
def authority():
    authority = Authority()
    authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1", days=5)
    authority.issue("client", "native")
    yield authority
    authority.remove()


def make_users(db):
    quoted = PASSWORD.replace("'", "''")
    ed25519 = "install soname 'auth_ed25519';"
    db.sql(ed25519 + "".join(f"create user {user} {how}; grant all on shop.* to {user.split(' ')[0]};" for user, how in {
        "native": f"identified by '{quoted}'",
        "modern": f"identified via ed25519 using password('{quoted}')",
        "empty": "identified by ''",
        "socket": "identified via unix_socket",
        "old": "identified via mysql_old_password using '0123456789abcdef'",
        "tlsonly": f"identified by '{quoted}' require ssl",
        "certonly": f"identified by '{quoted}' require x509",
        "locked": f"identified by '{quoted}' account lock",
        "expired": f"identified by '{quoted}' password expire",
        "few": f"identified by '{quoted}' with max_user_connections 1",
    }.items()) + f"create user bare identified by '{quoted}';"
           "create user elsewhere@'10.1.2.3' identified by 'far-secret';", database="")


@pytest.fixture(scope="module")
def plain():
    with MariaDB({"secure_auth": "OFF", "disconnect_on_expired_password": "ON"}) as db:
        make_users(db)
        yield db


@pytest.fixture(scope="module")
def secure(authority):
    with MariaDB({"ssl_cert": authority.path("server.pem"), "ssl_key": authority.path("server.key"),
                  "ssl_ca": authority.path("ca.pem"), "log_bin": "binlog", "binlog_format": "ROW"}) as db:
        make_users(db)
        yield db


# --- it works ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("user, password, method, trips", [
    ("native", PASSWORD, "mysql_native_password", 2), ("modern", PASSWORD, "client_ed25519", 3),
    ("empty", "", "mysql_native_password", 2)])
def test_plain_logins(plain, user, password, method, trips):
    report = verify(plain.port, user=user, password=password)
    assert report["ok"], report
    assert report["scheme"] == "mysql"
    assert report["by"]["login"]["method"] == method
    assert report["by"]["login"]["round_trips"] == trips
    assert report["by"]["tls"]["message"] == "the connection is not encrypted"
    server = report["server"]
    assert server["version"].startswith("10.") and 100000 < server["version_num"] < 130000
    assert server["max_connections"] == 100
    assert server["log_bin"] == "off" and server["binlog_format"]
    assert "wal_level" not in server
    assert report["round_trip_ms"] > 0


@pytest.mark.parametrize("user, method", [("native", "mysql_native_password"), ("modern", "client_ed25519"),
                                          ("tlsonly", "mysql_native_password")])
@pytest.mark.parametrize("sslmode", ["PREFERRED", "REQUIRED"])
def test_logins_inside_tls(secure, user, method, sslmode):
    report = verify(secure.port, user=user, sslmode=sslmode)
    assert report["ok"], report
    assert report["by"]["login"]["method"] == method
    tls = report["by"]["tls"]
    assert tls["version"] == "TLSv1.3" and tls["round_trips"] == 1
    assert tls["certificate"]["subject"] == "CN=localhost" and tls["certificate"]["verified"] is False
    assert report["server"]["log_bin"] == "on" and report["server"]["binlog_format"] == "ROW"


@pytest.mark.parametrize("sslmode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_own_authority(secure, authority, sslmode):
    report = verify(secure.port, host="localhost", sslmode=sslmode, ca=authority.read("ca.pem"))
    assert report["ok"], report
    assert report["by"]["tls"]["certificate"]["verified"] is True
    assert "certificate ends in" in report["warnings"][0]


def test_client_certificate(secure, authority):
    client = (authority.read("client.pem"), authority.read("client.key"))
    assert verify(secure.port, user="certonly", sslmode="REQUIRED", client=client)["ok"]
    report = verify(secure.port, user="certonly", sslmode="REQUIRED")
    failed(report, "login", 2013)
    assert "certificate" in report["hint"]


def test_preferred_goes_on_in_plain(plain):
    report = verify(plain.port, sslmode="PREFERRED")
    assert report["ok"] and "does not speak TLS" in report["by"]["tls"]["message"], report


def test_more_connections_than_the_origin_allows(plain):
    report = verify(plain.port, limit=101)
    assert report["ok"] and "101" in report["warnings"][0] and "allows 100" in report["warnings"][0]
    report = verify(plain.port, user="few", limit=2)
    assert report["ok"] and "allows 1" in report["warnings"][0]


# --- it does not, and says why ------------------------------------------------------------------------

@pytest.mark.parametrize("user", ["native", "modern"])
def test_wrong_password(plain, user):
    assert "Access denied" in failed(verify(plain.port, user=user, password="wrong"), "login", 2013)


@pytest.mark.parametrize("user", ["nobody_here", "socket", "locked", "expired"])
def test_users_that_may_not_log_in(plain, user):
    failed(verify(plain.port, user=user), "login", 2013)


def test_a_user_of_another_host(plain):
    failed(verify(plain.port, user="elsewhere", password="far-secret"), "login", 2013)


def test_no_such_database(plain):
    report = verify(plain.port, database="attic", user="app", password="app-secret")
    assert "attic" in failed(report, "database", 2014)
    assert report["by"]["login"]["method"] == "mysql_native_password"
    # A user without rights on it is not told whether there is one.
    assert "attic" in failed(verify(plain.port, database="attic", user="bare"), "database", 2014)
    assert "Access denied" in failed(verify(plain.port, user="bare"), "database", 2014)


def test_the_password_of_before_4_1_is_not_sent(plain):
    message = failed(verify(plain.port, user="old", password="old-secret"), "login", 2015)
    assert "before 4.1" in message or "mysql_old_password" in message, message


def test_closed_port():
    failed(verify(free_port()), "tcp", 2011)


def test_unknown_host():
    failed(verify(3306, host="no-such-host.invalid"), "dns", 2008)


@pytest.mark.parametrize("sslmode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_no_tls_there(plain, sslmode):
    report = verify(plain.port, sslmode=sslmode)
    failed(report, "tls", 2012)
    assert "PREFERRED" in report["hint"]


@pytest.mark.parametrize("sslmode", ["VERIFY_CA", "VERIFY_IDENTITY"])
def test_certificate_not_trusted(secure, sslmode):
    report = verify(secure.port, sslmode=sslmode)
    assert "certificate verify failed" in failed(report, "tls", 2015)
    assert "REQUIRED" in report["hint"]


def test_certificate_of_another_name(secure, authority):
    relay = Relay(secure.port, "127.0.0.2")
    ca = authority.read("ca.pem")
    try:
        report = verify(relay.port, host="127.0.0.2", sslmode="VERIFY_IDENTITY", ca=ca)
        assert "mismatch" in failed(report, "tls", 2015) and "VERIFY_CA" in report["hint"]
        assert verify(relay.port, host="127.0.0.2", sslmode="VERIFY_CA", ca=ca)["ok"]
    finally:
        relay.close()


def test_an_origin_that_takes_tls_only(authority):
    with MariaDB({"ssl_cert": authority.path("server.pem"), "ssl_key": authority.path("server.key"),
                  "require_secure_transport": "ON"}) as db:
        report = verify(db.port, user="app", password="app-secret")
        failed(report, "login", 2013)  # 10.11 says access denied
        assert "TLS" in report["hint"]
        assert verify(db.port, user="app", password="app-secret", sslmode="PREFERRED")["ok"]


def test_no_slot_is_free():
    with MariaDB({"max_connections": "10", "extra_max_connections": "1"}) as db:
        import pymysql
        db.sql("create user poor identified by 'poor-secret'; grant all on shop.* to poor")
        kept = [pymysql.connect(**db.login(user="poor", password="poor-secret")) for _ in range(10)]
        report = verify(db.port, user="poor", password="poor-secret")
        assert not report["ok"] and report["code"] == 2015 and "Too many connections" in report["message"]
        assert report["by"]["login"]["status"] == "failed" and "max_connections" in report["hint"]
        for connection in kept:
            connection.close()


# --- MySQL 8 ------------------------------------------------------------------------------------------

def test_fast_path():
    with MySQL8(PASSWORD) as server:
        report = verify(server.port)
        assert report["ok"], report
        assert report["by"]["login"]["method"] == "caching_sha2_password"
        assert report["server"]["version"] == "8.0.36" and report["server"]["version_num"] == 80036
        seen = dict(server.seen)
        assert seen["capabilities"] & LONG_PASSWORD and seen["extended"] == bytes(4), "no MariaDB extensions"
    with MySQL8(PASSWORD) as server:
        failed(verify(server.port, password="wrong"), "login", 2013)


@pytest.mark.parametrize("sslmode", ["PREFERRED", "REQUIRED"])
def test_full_path_inside_tls(authority, sslmode):
    with MySQL8(PASSWORD, cached=False, authority=authority) as server:
        report = verify(server.port, sslmode=sslmode)
        assert report["ok"], report
        assert dict(server.seen)["whole"] == PASSWORD.encode() + b"\0"
        assert report["by"]["login"]["round_trips"] == 3


def test_full_path_under_the_origins_key_on_loopback():
    with MySQL8(PASSWORD, cached=False) as server:
        assert verify(server.port)["ok"]
        assert "key_asked" in dict(server.seen) and "whole" not in dict(server.seen)
        failed(verify(server.port, password="wrong"), "login", 2013)


def test_the_greetings_method_is_not_the_users():
    with MySQL8(PASSWORD, plugin=b"sha256_password",
                switch=(b"caching_sha2_password", bytes(range(33, 53)) + b"\0")) as server:
        assert verify(server.port)["ok"]


@pytest.mark.parametrize("host, sslmode, sent", [("loopback", "DISABLED", False), ("loopback", "REQUIRED", True), ("far", "REQUIRED", False),
                                                 ("far", "PREFERRED", False), ("far", "VERIFY_CA", True)])
def test_the_clear_password_goes_only_to_who_is_known_and_inside_tls(authority, host, sslmode, sent):
    """Anybody in between could show a certificate, and ask for it."""
    with MySQL8(PASSWORD, authority=authority, switch=(b"mysql_clear_password", b"")) as server:
        # 0.0.0.0 leads here, too, and is not known to be here.
        report = verify(server.port, host="127.0.0.1" if host == "loopback" else "0.0.0.0", sslmode=sslmode,
                        ca=authority.read("ca.pem") if sslmode == "VERIFY_CA" else "")
        if sent:
            assert report["ok"], report
        else:
            assert "in the clear" in failed(report, "login", 2015)
            assert "switched" not in dict(server.seen)


@pytest.mark.parametrize("switch", [(b"auth_gssapi_client", b"x"), (b"mysql_native_password", b"short"), (b"dialog", b""),
                                    (b"client_ed25519", b"short")])
def test_methods_that_are_not_supported(switch):
    with MySQL8(PASSWORD, switch=switch) as server:
        failed(verify(server.port), "login", 2015)


# --- servers that are none ----------------------------------------------------------------------------

GREETING = b"\x0a8.0.36\0" + bytes(4) + bytes(range(1, 9)) + b"\0\xff\xf7\xff\x02\0\xff\xdf\x15" + bytes(10) + b"abcdefghijkl\0"


def framed(payload: bytes, sequence: int = 0) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


class Greeter(Liar):
    """Says `answer` before it reads."""

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.sendall(self.answer)
            self.kept.append(client)
            if self.closes:
                client.recv(4096)
                client.close()


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff" * 100_000, framed(b"\x09old"), framed(GREETING[:30]),
    framed(GREETING, 1), framed(GREETING) + framed(b"\xfe", 2), framed(GREETING) + framed(b"\x07what", 2),
    framed(GREETING) + framed(b"", 2), framed(GREETING) + framed(b"\0\0\0\x02\0\0\0", 7)],
    ids=["http", "nothing", "noise", "version 9", "cut", "sequence", "old password", "unknown", "empty", "late sequence"])
def test_not_a_mysql(answer):
    with Greeter(answer) as liar:
        report = verify(liar.port)
        assert report["code"] == 2015 and report["by"]["login"]["status"] == "failed", report


def test_refused_before_the_greeting():
    with Greeter(framed(b"\xff\x69\x04Host '10.0.0.9' is blocked because of many connection errors")) as liar:
        report = verify(liar.port)
        assert report["code"] == 2015 and "is blocked" in report["message"] and "FLUSH HOSTS" in report["hint"]


def test_silence_ends_in_time():
    with Liar(b"", close=False) as liar:
        report = verify(liar.port, timeout_ms=1500)
        assert report["code"] == 2015 and "1500 ms" in report["message"]


# --- the commands ---------------------------------------------------------------------------------------

def test_create_update_test_and_doctor_verify_a_mariadb(plain):
    with Hyperdrive() as hd:
        refused = hd.run("create", "shop", "--connection-string", plain.url(password="wrong"))
        assert refused.returncode == 1 and "2013" in refused.stderr and not hd.json("list", "--json")
        hd("create", "shop", "--connection-string", plain.url())
        refused = hd.run("update", "shop", "--database", "attic")
        assert refused.returncode == 1 and "2014" in refused.stderr
        assert hd.json("get", "shop")["origin"]["database"] == "shop"
        tested = hd("test", "shop")
        assert "mysql_native_password" in tested and "max_connections" in tested
        assert "log_bin" in tested
        assert "1 of 1 configs" in hd("doctor")
