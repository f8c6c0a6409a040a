"""push, pull, diff against a stand-in that follows Cloudflare's recorded traffic, with faults."""

import json
import os

import pytest
from support.cloudflare import ACCOUNT, TOKEN, Cloudflare, Fault
from support.hyperdrive import Hyperdrive

URL = "postgresql://test:password@db.example.com:5432/neondb"


@pytest.fixture
def cf():
    with Cloudflare() as cloudflare:
        yield cloudflare


@pytest.fixture
def hd(cf):
    with Hyperdrive() as hyperdrive:
        hyperdrive.env |= cf.env()
        yield hyperdrive


def create(hd, name, url=URL, *flags):
    return hd.create(name, url, "--no-verify", *flags)


def test_push_creates_then_changes_only_what_differs(cf, hd):
    create(hd, "shop", URL, "--max-age", "30", "--swr", "10", "--origin-connection-limit", "25")
    pushed = hd.json("push", "shop", "--json")["pushed"][0]
    assert pushed["action"] == "created" and pushed["remote_id"] in cf.configs
    method, path, body = cf.requests[-1]
    assert (method, path) == ("POST", f"/client/v4/accounts/{ACCOUNT}/hyperdrive/configs")
    assert json.dumps(body) == json.dumps({
        "name": "shop",
        "origin": {"host": "db.example.com", "port": 5432, "scheme": "postgresql", "database": "neondb",
                   "user": "test", "password": "password"},
        "caching": {"disabled": False, "max_age": 30, "stale_while_revalidate": 10},
        "origin_connection_limit": 25}), "the recorded shape, the keys in wrangler's order"

    assert hd.json("push", "--json")["pushed"][0]["action"] == "unchanged"
    assert "PATCH" not in cf.methods()

    hd("update", "shop", "--database", "other", "--no-verify")
    assert hd.json("push", "--json")["pushed"][0]["action"] == "updated"
    assert cf.requests[-1][2] == {"origin": {"database": "other", "password": "password"}}
    hd("update", "shop", "--origin-password", "rotated", "--no-verify")
    hd("push")
    assert cf.requests[-1][2] == {"origin": {"password": "rotated"}}
    assert hd.json("push", "--json")["pushed"][0]["action"] == "unchanged"


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.INTERNAL_DONE, Fault.TORN, Fault.EMPTY])
def test_a_post_that_was_carried_out_unseen_is_not_repeated(cf, hd, fault):
    create(hd, "shop")
    cf.fault("POST", fault)
    pushed = hd.json("push", "shop", "--json")["pushed"][0]
    assert [pushed["remote_id"]] == list(cf.configs)
    assert cf.methods().count("POST") == 1, "the name was looked up instead"


@pytest.mark.parametrize("fault", [Fault.HANG_UP, Fault.TOO_MANY, Fault.INTERNAL])
def test_a_post_that_did_not_happen_is_sent_again(cf, hd, fault):
    create(hd, "shop")
    cf.fault("POST", fault)
    hd("push", "shop")
    assert [c["name"] for c in cf.configs.values()] == ["shop"]
    assert cf.methods().count("POST") == 2


@pytest.mark.parametrize("fault", [Fault.HANG_UP, Fault.TOO_MANY, Fault.INTERNAL, Fault.TORN])
def test_reads_and_patches_are_retried(cf, hd, fault):
    create(hd, "shop")
    hd("push")
    hd("update", "shop", "--database", "other", "--no-verify")
    cf.fault("GET", fault)
    cf.fault("PATCH", fault)
    hd("push")
    assert next(iter(cf.configs.values()))["origin"]["database"] == "other"


def test_errors_are_cloudflares_own(cf, hd):
    create(hd, "shop")
    cf.fault("GET", Fault.AUTHENTICATION)
    result = hd.run("push")
    assert result.returncode == 1 and "Authentication error [code: 10000]" in result.stderr
    cf.fault("GET", Fault.WAF)
    result = hd.run("push")
    assert "WAF" in result.stderr and "8abc-LHR" in result.stderr
    result = hd.run("push", env={"CLOUDFLARE_API_TOKEN": "wrong"})
    assert result.returncode == 1 and "10000" in result.stderr
    result = hd.run("push", env={"CLOUDFLARE_API_TOKEN": ""})
    assert result.returncode == 1 and "CLOUDFLARE_API_TOKEN" in result.stderr
    for r in (hd.run("push"), hd.run("diff"), result):
        assert TOKEN not in r.stdout + r.stderr and "password" not in r.stdout


def test_the_account_comes_from_dotenv_too(cf, hd):
    create(hd, "shop")
    with open(os.path.join(hd.cwd, ".env"), "w") as f:
        f.write("".join(f'export {key}="{value}" # x\n' for key, value in cf.env().items()
                        if key != "CLOUDFLARE_ACCOUNT_ID"))
    hd("push", env={"CLOUDFLARE_API_TOKEN": "", "CLOUDFLARE_ACCOUNT_ID": "", "CLOUDFLARE_API_BASE_URL": ""})
    assert len(cf.configs) == 1, "the account id was asked for"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.0.0.5", "192.168.1.2", "[::1]", "[fd00::1]",
                                  "db.internal", "169.254.1.1", "100.64.0.1"])
def test_an_origin_that_cloudflare_cannot_reach_is_2009(cf, hd, host):
    create(hd, "mine", f"postgresql://u:p@{host}:5432/d")
    result = hd.run("push", "mine", "--json")
    assert result.returncode == 1
    assert json.loads(result.stderr)["error"]["code"] == 2009
    assert "POST" not in cf.methods()


def test_push_rewrites_the_bindings_of_the_wrangler_file(cf, hd):
    id = create(hd, "shop")
    other = "f" * 32
    text = (f'# mine\nname = "w"\n\n[[hyperdrive]] # one\nbinding = "A"\nid = "{id}" # local\n\n'
            f'[[env.staging.hyperdrive]]\nbinding = "A"\nid = \'{id}\'\n\n[[hyperdrive]]\nbinding = "B"\n'
            f'id = "{other}"')
    path = os.path.join(hd.cwd, "wrangler.toml")
    with open(path, "w") as f:
        f.write(text)
    hd("push", "shop")
    assert open(path).read() == text, "nothing is rewritten without asking"
    answer = hd.json("push", "shop", "--update-config", "--json")
    remote = next(iter(cf.configs))
    assert len(answer["bindings"]) == 2
    assert open(path).read() == text.replace(id, remote)


def test_pull_brings_configs_without_passwords(cf, hd):
    for n in range(45):
        cf.add(f"config-{n}", host=f"db{n}.example.com")
    pulled = hd.json("pull", "--json")["pulled"]
    assert len(pulled) == 45 and {p["action"] for p in pulled} == {"created"}
    assert not any(p["password"] for p in pulled)
    assert hd.json("get", "config-7")["origin"]["host"] == "db7.example.com"
    assert {p["action"] for p in hd.json("pull", "--json")["pulled"]} == {"unchanged"}
    cf.patch(pulled[3]["remote_id"], {"caching": {"disabled": True}, "name": "renamed"})
    again = hd.json("pull", pulled[3]["remote_id"], "--json")["pulled"][0]
    assert again["action"] == "updated" and again["name"] == "renamed"
    assert hd.json("get", "renamed")["caching"]["disabled"] is True
    assert hd.run("push", "config-1").returncode == 0, "nothing differs: no password is needed"


def test_pull_takes_the_password_from_a_file(cf, hd):
    cf.add("shop")
    path = os.path.join(hd.folder, "password")
    with open(path, "w") as f:
        f.write("s3cret\n")
    assert hd.json("pull", "shop", "--origin-password-file", path, "--json")["pulled"][0]["password"] is True
    cf.patch(next(iter(cf.configs)), {"origin": {"host": "elsewhere.example.com"}})
    assert hd.json("pull", "shop", "--json")["pulled"][0]["password"] is False, \
        "a password is not sent to another host than it was given for"


def test_strangers_of_one_name_are_left_alone(cf, hd):
    create(hd, "shop")
    cf.add("shop", host="other.example.com")
    for command in ("push", "pull"):
        result = hd.run(command, "shop", "--json")
        assert json.loads(result.stderr)["error"]["code"] == 2017
    assert set(cf.methods()) == {"GET"}
    assert hd.json("push", "shop", "--force", "--json")["pushed"][0]["action"] == "updated"


def test_diff_tells_what_differs(cf, hd):
    create(hd, "same", URL, "--origin-connection-limit", "60")
    hd("push", "same")
    create(hd, "here")
    cf.add("there")
    changed = create(hd, "changed")
    hd("push", "changed")
    hd("update", changed, "--database", "new", "--no-verify")
    states = {entry["name"]: entry for entry in hd.json("diff", "--json")}
    assert {name: entry["state"] for name, entry in states.items()} == {
        "same": "same", "here": "only_local", "there": "only_remote", "changed": "different"}
    assert states["changed"]["differences"] == [
        {"field": "origin.database", "local": "new", "remote": "neondb"}]
    assert hd.run("diff", "--exit-code").returncode == 2
    assert hd.run("diff", "same", "--exit-code").returncode == 0
    result = hd.run("diff", "nope", "--json")
    assert json.loads(result.stderr)["error"]["code"] == 2006
