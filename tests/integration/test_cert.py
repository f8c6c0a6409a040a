"""`hyperdrive cert`: what is refused and why, and certificates at work between proxy and origin."""

import os

import psycopg
import pytest
from support.hyperdrive import Hyperdrive
from support.postgres import Postgres
from support.tls import Authority

HBA = "local all all trust\nhostssl all app 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"


@pytest.fixture(scope="module")
def authority():
    authority = Authority()
    authority.issue("server", "localhost", "IP:127.0.0.1")
    authority.issue("app", "app")
    authority.issue("other", "other")
    authority.issue("old", "app", days=-1)
    yield authority
    authority.remove()


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def upload(hd, authority, certificate, key, name="pair"):
    return hd.run("cert", "upload", "mtls-certificate", "--cert", authority.path(certificate), "--key", authority.path(key),
                  "--name", name)


@pytest.mark.parametrize("certificate, key, says", [
    ("old.pem", "old.key", ["the certificate of CN=app expired on 20", "renewed"]),
    ("app.pem", "other.key", ["other.key does not belong to the certificate", "same pair"]),
    ("app.key", "app.key", ["app.key is not a PEM file of certificates"]),
    ("app.pem", "app.pem", ["app.pem is not a PEM file of a private key"]),
    ("missing.pem", "app.key", ["missing.pem"]),
])
def test_a_pair_that_cannot_work_is_refused_with_the_reason(hd, authority, certificate, key, says):
    result = upload(hd, authority, certificate, key)
    assert result.returncode == 1
    assert all(text in result.stderr for text in says), result.stderr
    assert "PRIVATE" not in result.stderr.replace("BEGIN PRIVATE KEY", "")
    assert hd.json("cert", "list", "--json") == []


def test_an_expired_authority_is_refused(hd, authority):
    result = hd.run("cert", "upload", "certificate-authority", "--ca-cert", authority.path("old.pem"), "--name", "old")
    assert result.returncode == 1 and "expired on" in result.stderr
    assert hd.json("cert", "list", "--json") == []


def test_both_kinds_are_used_by_the_proxy_and_kept_while_in_use(hd, authority):
    settings = {"ssl": "on", "ssl_cert_file": authority.path("server.pem"), "ssl_key_file": authority.path("server.key"),
                "ssl_ca_file": authority.path("ca.pem")}
    with Postgres(hba=HBA, settings=settings) as origin:
        hd("cert", "upload", "certificate-authority", "--ca-cert", authority.path("ca.pem"), "--name", "my-ca")
        assert upload(hd, authority, "app.pem", "app.key", "my-pair").returncode == 0
        ids = {c["name"]: c["id"] for c in hd.json("cert", "list", "--json")}
        flags = ["create", "shop", "--connection-string", origin.url(), "--sslmode", "verify-full", "--ca-certificate-id", ids["my-ca"]]
        refused = hd.run(*flags)
        assert refused.returncode == 1 and "certificate" in refused.stderr, "the origin wants a client certificate"
        assert hd.json("list", "--json") == []
        hd(*flags, "--mtls-certificate-id", ids["my-pair"])
        with psycopg.connect(hd.start("shop")) as connection:
            assert connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone() == (True,)
        for name in ids:
            kept = hd.run("cert", "delete", "--name", name, "--yes")
            assert kept.returncode == 1 and "shop" in kept.stderr, "the config that uses it is named"
        with open(os.path.join(hd.home, "registry.db"), "rb") as f:
            assert b"PRIVATE KEY" not in f.read(), "the key is sealed"
