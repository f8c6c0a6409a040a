"""TLS towards the clients: negotiated and direct, SCRAM-PLUS and its downgrade checks, cancels, new certificates."""

import base64
import hashlib
import os
import signal
import socket
import ssl
import struct
import subprocess

import psycopg
import pytest
from support import pgwire as w
from support.hyperdrive import Hyperdrive
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.proxy import Proxy
from support.tls import Authority

SSL_REQUEST = struct.pack("!II", 8, 80877103)


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


@pytest.fixture(scope="module")
def authority():
    made = Authority("Local CA")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def proxy(origin, authority):
    cert, key = authority.issue("first", "localhost", "DNS:localhost,IP:127.0.0.1")
    with Proxy(origin, local={"tls_cert": cert, "tls_key": key}) as p:
        p.ca = authority.path("ca.pem")
        yield p


def test_paths_of_certificates_are_those_of_the_folder_where_they_were_typed(origin, authority):
    cert, key = authority.issue("typed", "localhost", "DNS:localhost,IP:127.0.0.1")
    folder, names = os.path.dirname(cert), ("--tls-cert", os.path.basename(cert), "--tls-key", os.path.basename(key))
    with Hyperdrive() as hd:
        hd("create", "shop", "--connection-string", origin.url(), *names, cwd=folder)
        hd("start", "shop")
        with psycopg.connect(hd("url", "shop").strip() + f"?sslmode=verify-full&sslrootcert={authority.path('ca.pem')}") as c:
            assert c.execute("select 1").fetchone() == (1,)
        declared = os.path.join(folder, "hyperdrive.toml")
        with open(declared, "w") as f:
            f.write(hd("export").replace(folder + "/", ""))
        assert "1 as declared" in hd("apply", "-f", declared)
        missing = hd.run("update", "shop", "--tls-key", "nowhere.pem", cwd=folder)
        assert missing.returncode == 1 and f"{folder}/nowhere.pem cannot be read: No such file" in missing.stderr
        assert "an IP address, not 'nohost'" in hd.run("update", "shop", "--listen", "nohost").stderr


def params(proxy, **more):
    words = {"sslmode": "verify-full", "sslrootcert": proxy.ca} | more
    return proxy.url("?" + "&".join(f"{k}={v}" for k, v in words.items()))


class Encrypted(w.Connection):
    """A raw client behind SSLRequest (or at once, with `direct`)."""

    def __init__(self, proxy, direct=False, alpn=("postgresql",)):
        super().__init__("127.0.0.1", proxy.port)
        context = ssl.create_default_context(cafile=proxy.ca)
        if direct:
            context.set_alpn_protocols(list(alpn))
        else:
            self.socket.sendall(SSL_REQUEST)
            assert self.socket.recv(1) == b"S"
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def subject(proxy):
    """The common name of the certificate that a new client is shown."""
    with Encrypted(proxy) as c:
        return dict(part[0] for part in c.socket.getpeercert()["subject"])["commonName"]


def login(c, proxy):
    c.login(proxy.user, proxy.password, proxy.database)
    return c


# --- the two ways in ----------------------------------------------------------------------------------

def test_libpq_over_tls_with_every_way_of_asking(proxy):
    for mode in ("prefer", "require", "verify-ca", "verify-full"):
        with psycopg.connect(params(proxy, sslmode=mode), autocommit=True) as db:
            assert db.pgconn.ssl_in_use
            assert db.execute("select %s::text", ["x" * 100_000]).fetchone() == ("x" * 100_000,)
    with psycopg.connect(params(proxy, sslmode="disable"), autocommit=True) as db:
        assert not db.pgconn.ssl_in_use


def test_direct_tls_needs_the_protocols_name(proxy):
    with login(Encrypted(proxy, direct=True), proxy) as c:
        assert c.socket.selected_alpn_protocol() == "postgresql" and c.value("select 1") == "1"
    with pytest.raises((ssl.SSLError, OSError)):
        Encrypted(proxy, direct=True, alpn=("http/1.1",))


def test_a_client_that_starts_tls_without_asking_or_naming_the_protocol_is_not_served(proxy):
    context = ssl.create_default_context(cafile=proxy.ca)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10 * PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as s:
                s.sendall(w.startup({"user": proxy.user, "database": proxy.database}))
                assert s.recv(1) == b"", "Postgres requires ALPN for direct TLS"
        except (ssl.SSLError, ConnectionError):
            pass


def test_bytes_in_the_clear_behind_the_request_are_refused(proxy):
    with w.Connection("127.0.0.1", proxy.port) as c:
        c.send(SSL_REQUEST + w.startup({"user": proxy.user, "database": proxy.database}))
        kind, body = c.receive()
        assert kind == "E" and "unencrypted" in w.error_fields(body)["M"]


def test_a_second_request_inside_tls_is_refused(proxy):
    with Encrypted(proxy) as c:
        c.send(SSL_REQUEST)
        assert c.socket.recv(1) in (b"N", b"E", b"")


# --- channel binding -----------------------------------------------------------------------------------

def test_libpq_binds_the_login_to_the_channel(proxy):
    with psycopg.connect(params(proxy, channel_binding="require"), autocommit=True) as db:
        assert db.execute("select 1").fetchone() == (1,)


def mechanisms(c, proxy):
    c.send(w.startup({"user": proxy.user, "database": proxy.database}))
    kind, body = c.receive()
    assert kind == "R"
    return [m.decode() for m in body[4:].split(b"\0") if m]


def first_answer(c, mechanism, message):
    c.send(w.message(b"p", w.text(mechanism) + struct.pack("!I", len(message)) + message))
    return c.receive()


def test_plus_is_offered_first_and_only_over_tls(proxy):
    with Encrypted(proxy) as c:
        assert mechanisms(c, proxy) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    with w.Connection("127.0.0.1", proxy.port) as c:
        assert mechanisms(c, proxy) == ["SCRAM-SHA-256"]


@pytest.mark.parametrize("mechanism, message, sqlstate", [
    ("SCRAM-SHA-256", b"y,,n=,r=abcdefghijklmnop", "28000"),                     # somebody took PLUS out of the list
    ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abcdefghijklmnop", "08P01"),
    ("SCRAM-SHA-256-PLUS", b"n,,n=,r=abcdefghijklmnop", "08P01"),
    ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abcdefghijklmnop", "08P01"),
    ("SCRAM-SHA-1", b"n,,n=,r=abcdefghijklmnop", "08P01"),
])
def test_a_binding_that_does_not_fit_is_refused(proxy, mechanism, message, sqlstate):
    with Encrypted(proxy) as c:
        mechanisms(c, proxy)
        kind, body = first_answer(c, mechanism, message)
        assert kind == "E" and w.error_fields(body)["C"] == sqlstate, body


def test_without_tls_a_client_that_could_bind_is_served_and_plus_is_refused(proxy):
    with w.Connection("127.0.0.1", proxy.port) as c:
        mechanisms(c, proxy)
        kind, body = first_answer(c, "SCRAM-SHA-256", b"y,,n=,r=abcdefghijklmnop")
        assert kind == "R" and body[:4] == b"\0\0\0\x0b"
    with w.Connection("127.0.0.1", proxy.port) as c:
        mechanisms(c, proxy)
        kind, body = first_answer(c, "SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abcdefghijklmnop")
        assert kind == "E" and w.error_fields(body)["C"] == "08P01"


def test_a_relay_with_a_certificate_of_its_own_is_found_out(proxy, authority):
    """It shows a certificate that the client trusts and passes its messages on: only the binding tells."""
    cert, _ = authority.issue("middle", "localhost", "DNS:localhost,IP:127.0.0.1")
    with Encrypted(proxy) as far:
        assert mechanisms(far, proxy)[0] == "SCRAM-SHA-256-PLUS"
        kind, body = first_answer(far, "SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abcdefghijklmnop")
        assert kind == "R"
        nonce = body[4:].decode().split(",")[0]
        with open(cert) as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        binding = base64.b64encode(b"p=tls-server-end-point,," + hashlib.sha256(der).digest()).decode()
        far.send(w.message(b"p", f"c={binding},{nonce},p={base64.b64encode(bytes(32)).decode()}".encode()))
        kind, body = far.receive()
        assert kind == "E" and "channel binding check failed" in w.error_fields(body)["M"]


# --- cancels and new certificates -----------------------------------------------------------------------

def test_a_cancel_over_tls(origin, proxy):
    with login(Encrypted(proxy), proxy) as c:
        c.send(w.query("select pg_sleep(600)"))
        wait_for(lambda: origin.psql("select count(*) from pg_stat_activity where query like 'select pg_sleep(600)%' and "
                                     "state = 'active'").strip() == "1", what="the query runs")
        with Encrypted(proxy) as canceller:
            canceller.send(struct.pack("!III", 12 + len(c.key), 80877102, c.pid) + c.key)
            assert canceller.socket.recv(1) == b""
        errors = [w.error_fields(body)["C"] for kind, body in c.until_ready() if kind == "E"]
        assert errors == ["57014"] and c.value("select 1") == "1"


def replace(proxy, authority, name):
    cert, key = authority.issue(name, name, "DNS:localhost,IP:127.0.0.1")
    local = proxy.document["config"]["local"]
    for source, target in ((cert, local["tls_cert"]), (key, local["tls_key"])):
        with open(source) as from_file, open(target, "w") as to_file:
            to_file.write(from_file.read())


def test_sighup_and_reload_bring_a_new_certificate_and_keep_the_old_when_it_is_broken(origin, authority):
    cert, key = authority.issue("served", "before", "DNS:localhost,IP:127.0.0.1")
    with Proxy(origin, local={"tls_cert": cert, "tls_key": key}) as proxy:
        proxy.ca = authority.path("ca.pem")
        with login(Encrypted(proxy), proxy) as old:
            assert subject(proxy) == "before"
            replace(proxy, authority, "after")
            assert subject(proxy) == "before"
            proxy.process.send_signal(signal.SIGHUP)
            wait_for(lambda: subject(proxy) == "after", 10, "SIGHUP brings the new one")
            with psycopg.connect(params(proxy, channel_binding="require")) as db:
                assert db.execute("select 1").fetchone() == (1,)
            with open(key, "w") as f:
                f.write("no key\n")
            proxy.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "nothing is changed" in proxy.log(), 10, "the log tells why")
            assert subject(proxy) == "after"
            status, body = proxy.reload(local={"max_clients": 77})
            assert status >= 400 and "private key" in body, body
            assert '"max_clients": 77' not in proxy.admin("GET", "/v1/config")[1]
            replace(proxy, authority, "last")
            status, body = proxy.reload()
            assert status == 200, body
            wait_for(lambda: subject(proxy) == "last", 10, "so does a reload")
            assert old.value("select 5") == "5", "a client of the first certificate goes on"


def test_openssl_s_client_knows_the_protocol(proxy):
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-starttls", "postgres", "-CAfile",
                            proxy.ca, "-verify_return_error", "-brief"], input="", capture_output=True, text=True,
                           timeout=20 * PATIENCE)
    assert "Verification: OK" in shown.stdout + shown.stderr, shown
