"""`hyperdrive api` under the real wrangler, the cloudflare npm SDK, and raw requests."""

import http.client
import json
import os
import signal
import socket
import subprocess

import pytest
from support import node
from support.hyperdrive import BIN, Hyperdrive
from support.ports import free_port, wait_for

TOKEN = "local-api-token-0815"
BODY = {"name": "shop", "origin": {"scheme": "postgresql", "host": "db.example.com", "port": 5432, "database": "d",
                                   "user": "u", "password": "s3cret-pw"}}


class Api:
    def __init__(self, hd):
        self.hd, self.port = hd, free_port()
        self.process = subprocess.Popen(
            [os.path.join(BIN, "hyperdrive"), "api", "--port", str(self.port), "--token-env", "API_TOKEN"],
            env=hd.env | {"API_TOKEN": TOKEN}, cwd=hd.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        first = self.process.stdout.readline()
        assert "Serving" in first, first
        self.url = f"http://127.0.0.1:{self.port}/client/v4"
        self.account = next(line for line in self.process.stdout if "ACCOUNT_ID" in line).split("=")[1].strip()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def __call__(self, method, path, body=None, token=TOKEN, host=None, raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=80)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if host:
            headers["Host"] = host
        data = raw if raw is not None else json.dumps(body) if body is not None else None
        connection.request(method, "/client/v4" + path, data, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert "s3cret-pw" not in text, "no answer holds a password"
        return response.status, json.loads(text)

    def configs(self, method="GET", suffix="", body=None, **more):
        return self(method, f"/accounts/{self.account}/hyperdrive/configs{suffix}", body, **more)


@pytest.fixture
def hd():
    with Hyperdrive() as hyperdrive:
        yield hyperdrive


@pytest.fixture
def api(hd):
    api = Api(hd)
    yield api
    assert api.stop() == 0


def test_the_life_of_a_config(api, hd):
    status, made = api.configs("POST", body=BODY | {"caching": {"max_age": 30}, "origin_connection_limit": 25})
    assert status == 200 and made["success"] and made["errors"] == [] and made["messages"] == []
    id = made["result"]["id"]
    assert hd.json("get", "shop") == made["result"]
    assert api.configs("POST", body=BODY)[1]["errors"] == [
        {"code": 2017, "message": "A Hyperdrive config with the given name already exists"}]
    assert api.configs("GET", f"/{id}") == (200, {"result": made["result"], "success": True, "errors": [],
                                                 "messages": []})
    status, patched = api.configs("PATCH", f"/{id}", {"origin": {"database": "e"}})
    assert status == 200 and patched["result"]["origin"]["database"] == "e"
    assert patched["result"]["caching"] == {"disabled": False, "max_age": 30}
    _, patched = api.configs("PATCH", f"/{id}", {"caching": {"disabled": True}})
    assert patched["result"]["caching"] == {"disabled": True}, "custom settings go when caching is disabled"
    _, put = api.configs("PUT", f"/{id}", BODY | {"name": "renamed"})
    assert put["result"]["name"] == "renamed" and put["result"]["caching"] == {"disabled": False}
    assert put["result"]["origin_connection_limit"] == 25, "PUT resets caching, keeps the limit"
    assert "restarted_on" in api.configs("POST", f"/{id}/restart")[1]["result"]
    assert api.configs("DELETE", f"/{id}") == (200, {"result": None, "success": True, "errors": [], "messages": []})
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        status, gone = api.configs(method, f"/{id}", BODY if method != "GET" else None)
        assert status == 404 and gone["errors"] == [{"code": 2006, "message": "Hyperdrive config not found"}]


def test_pages(api, hd):
    for n in range(45):
        hd("create", f"c{n}", "--connection-string", "postgresql://u:p@db.example.com/d", "--no-verify")
    names = []
    for page in (1, 2, 3, 4):
        _, answer = api.configs("GET", f"?page={page}")
        assert answer["result_info"]["total_count"] == 45
        names += [config["name"] for config in answer["result"]]
    assert names == [f"c{n}" for n in range(45)]
    assert len(api.configs("GET", "?per_page=50")[1]["result"]) == 45


@pytest.mark.parametrize("change", [
    {"name": ""}, {"name": "x" * 64}, {"name": 5}, {"origin": 5}, {"origin": {}},
    {"origin": BODY["origin"] | {"port": 0}}, {"origin": BODY["origin"] | {"port": "x"}},
    {"origin": BODY["origin"] | {"scheme": "oracle"}}, {"caching": {"max_age": 3601}}, {"caching": {"max_age": "a"}},
    {"mtls": {"sslmode": "VERIFY_IDENTITY"}}, {"origin_connection_limit": 0}, {"integration": {}},
    {"origin": {k: v for k, v in BODY["origin"].items() if k != "password"}},
])
def test_bad_bodies_are_400_with_a_reason(api, hd, change):
    status, answer = api.configs("POST", body=BODY | change)
    assert status == 400 and not answer["success"] and answer["errors"][0]["message"], answer
    assert hd.json("list", "--json") == []


def test_who_may_not(api):
    assert api.configs(token=None)[1]["errors"][0]["code"] == 9106
    for token in ("x", TOKEN + "x", TOKEN[:-1], "é"):
        try:
            assert api.configs(token=token)[0] == 403
        except UnicodeEncodeError:
            pass
    status, answer = api.configs(host="evil.example.com")
    assert status == 403 and answer["result"] is None
    assert api.configs("POST", raw="{")[0] == 400
    with socket.create_connection(("127.0.0.1", api.port), timeout=80) as raw:
        raw.sendall(f"POST /client/v4/accounts/a/hyperdrive/configs HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: Bearer {TOKEN}\r\nContent-Length: {2 << 20}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096), "refused before it is sent"
    assert api("GET", "/nothing")[0] == 404
    assert api.configs("DELETE")[0] == 405
    assert api("GET", "/user/tokens/verify")[1]["result"]["status"] == "active"


def test_a_token_is_made_when_none_is_given(hd):
    process = subprocess.Popen([os.path.join(BIN, "hyperdrive"), "api", "--port", "0"], env=hd.env, cwd=hd.cwd,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    token = process.stdout.readline().split()[-1]
    url = process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGINT)
    assert len(token) >= 32 and url.startswith("http://127.0.0.1:")
    assert process.wait(40) == 130


# --- real clients ------------------------------------------------------------------------------------------
needs_node = pytest.mark.skipif(not os.path.isdir(os.path.join(node.MODULES, "wrangler")),
                                reason="the npm packages are not installed (tests/support/npm-install)")


def wrangler(api, *args, token=TOKEN, cwd=None):
    env = node.environment() | {"CLOUDFLARE_API_BASE_URL": api.url, "CLOUDFLARE_API_TOKEN": token,
                                "CLOUDFLARE_ACCOUNT_ID": api.account, "WRANGLER_LOG_PATH": api.hd.folder,
                                "HOME": api.hd.folder, "NO_COLOR": "1"}
    return subprocess.run(["wrangler", "hyperdrive", *args], env=env, cwd=cwd or api.hd.cwd, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=480)


def shown(result) -> dict:
    return json.loads(result.stdout[result.stdout.index("{"):])


@needs_node
def test_the_real_wrangler_manages_the_registry(api, hd):
    made = wrangler(api, "create", "shop", "--connection-string", "postgresql://u:s3cret-pw@db.example.com/d",
                    "--max-age", "30")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Created new Hyperdrive PostgreSQL config: " in made.stdout
    config = hd.json("get", "shop")
    assert config["id"] in made.stdout and config["caching"]["max_age"] == 30
    for n in range(21):
        hd("create", f"c{n}", "--connection-string", "postgresql://u:p@db.example.com/d", "--no-verify")
    listed = wrangler(api, "list")
    assert listed.returncode == 0 and "shop" in listed.stdout and "c20" in listed.stdout, "all pages"
    assert shown(wrangler(api, "get", config["id"])) == config
    updated = wrangler(api, "update", config["id"], "--database", "e", "--name", "renamed")
    assert updated.returncode == 0, updated.stderr
    assert hd.json("get", "renamed")["origin"]["database"] == "e"
    again = wrangler(api, "create", "renamed", "--connection-string", "postgresql://u:p@h/d")
    assert again.returncode == 1 and "[code: 2017]" in again.stderr
    assert wrangler(api, "delete", config["id"]).returncode == 0
    gone = wrangler(api, "get", config["id"])
    assert gone.returncode == 1 and "Hyperdrive config not found [code: 2006]" in gone.stderr
    denied = wrangler(api, "list", token="wrong-token")
    assert denied.returncode == 1 and "[code: 10000]" in denied.stderr


SDK = """
const Cloudflare = require("cloudflare");
const client = new Cloudflare({ apiToken: process.env.CLOUDFLARE_API_TOKEN, maxRetries: 0,
                                baseURL: process.env.CLOUDFLARE_API_BASE_URL });
const account_id = process.env.CLOUDFLARE_ACCOUNT_ID;
const origin = { scheme: "postgres", host: "db.example.com", port: 5432, database: "d", user: "u", password: "p" };
(async () => {
  const configs = client.hyperdrive.configs;
  const out = {};
  for (let n = 0; n < 25; n++) out.made = await configs.create({ account_id, name: "c" + n, origin });
  out.names = [];
  for await (const config of configs.list({ account_id })) out.names.push(config.name);
  out.edited = await configs.edit(out.made.id, { account_id, caching: { max_age: 7 } });
  out.put = await configs.update(out.made.id, { account_id, name: "put", origin });
  out.got = await configs.get(out.made.id, { account_id });
  out.restarted = await configs.restart(out.made.id, { account_id });
  out.taken = await configs.create({ account_id, name: "put", origin }).catch((e) => [e.status, e.errors]);
  out.deleted = await configs.delete(out.made.id, { account_id });
  out.gone = await configs.get(out.made.id, { account_id }).catch((e) => [e.status, e.errors]);
  console.log(JSON.stringify(out));
})();
"""


@needs_node
def test_the_cloudflare_sdk_manages_the_registry(api, hd):
    folder = node.project({"sdk.js": SDK})
    try:
        out = json.loads(node.run(os.path.join(folder, "sdk.js"), cwd=folder, env=dict(
            os.environ, CLOUDFLARE_API_BASE_URL=api.url, CLOUDFLARE_API_TOKEN=TOKEN,
            CLOUDFLARE_ACCOUNT_ID=api.account)))
    finally:
        node.remove(folder)
    assert out["names"] == [f"c{n}" for n in range(25)]
    assert out["edited"]["caching"]["max_age"] == 7 and out["put"]["name"] == "put"
    assert "max_age" not in out["got"]["caching"] and out["restarted"]["restarted_on"]
    assert out["taken"][0] == 400 and out["taken"][1][0]["code"] == 2017
    assert out["gone"][0] == 404 and out["gone"][1][0]["code"] == 2006
    assert len(hd.json("list", "--json")) == 24
