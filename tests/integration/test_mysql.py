"""MySQL configs can be kept, not served: every command that would have to connect says so."""

import pytest
from support.hyperdrive import Hyperdrive


@pytest.fixture()
def hd():
    with Hyperdrive() as hd:
        yield hd


def test_a_mysql_config_is_stored_without_verification_and_never_served(hd):
    url = "mysql://user:password@127.0.0.1:3306/shop"
    hd("create", "my", "--connection-string", url, "--no-verify")
    assert hd.json("get", "my")["origin"]["port"] == 3306
    for command in (["start", "my"], ["dev", "my", "--", "true"]):
        result = hd.run(*command)
        assert result.returncode == 1, result.stdout
        assert "does not speak MySQL yet" in result.stderr + result.stdout
