"""How the command line is read, and how it says what is wrong. No proxy and no database needed."""

import json
import os
import shutil
import stat
import subprocess

import pytest
from support import unprivileged
from support.hyperdrive import BIN, Hyperdrive

URL = "postgresql://app:secret@db.example.com:5432/shop"


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def create(hd, name, *flags):
    return hd.json("create", name, "--connection-string", URL, "--no-verify", "--json", *flags)


@pytest.mark.parametrize("words, code, says", [
    (["crate"], 64, "Did you mean 'create'?"),
    (["cache", "purg"], 64, "Did you mean 'purge'?"),
    (["cert", "uplod"], 64, "Did you mean 'upload'?"),
    (["create", "x", "--orign-host", "h"], 64, "Did you mean --origin-host"),
    (["create", "x", "--conection-string", URL], 64, "--connection-string"),
    (["create"], 64, "<name>"),
    (["create", "x", "y"], 64, "Unknown argument: y"),
    (["start", "x", "--local-port", "5433"], 64, "--local-port is a flag of `hyperdrive create`, `hyperdrive update`."),
    (["create", "x", "--connection-string", URL, "--cache-size", "1"], 64, "--cache-size must be"),
    (["create", "x", "--database"], 64, "--database"),
    (["create", "x", "--connection-string", URL, "--max-age", "abc"], 64, "--max-age"),
    (["create", "x", "--connection-string", URL, "--swr", "-1"], 64, "--swr"),
    (["create", "x", "--connection-string", URL, "--origin-connection-limit", "1001"], 64, "1000"),
    (["create", "x", "--connection-string", URL, "--cache-size", "lots"], 64, "lots"),
    (["create", "x", "--connection-string", URL, "--no-verify", "--cache-url", "redis://h:x/0"], 64, "port of cache-url"),
    (["create", "x", "--connection-string", URL, "--caching-disabled=maybe"], 64, "maybe"),
    (["create", "x", "--host", "h", "--port", "70000", "--database", "d", "--user", "u", "--password", "p"], 64, "65535"),
    (["create", "x", "--connection-string-env", "NOT_SET_HERE"], 64, "NOT_SET_HERE"),
    (["create", "x", "--connection-string", "-"], 64, "Standard input"),
    (["create", "x", "--connection-string", URL, "--sslmode", "VERIFY_CA"], 64, "verify-ca"),
    (["get", "nothing"], 1, "[code: 2006]"),
    (["list", "--cwd", "/does/not/exist"], 1, "/does/not/exist"),
    (["list", "-c"], 64, "--config"),
    (["completions", "bsh"], 64, "bash"),
    (["bind", "x"], 1, "2006"),
    (["update", "x"], 64, "nothing to update"),
    (["update", "x", "--max-age", "5", "--origin-user", ""], 64, "--origin-user must not be empty"),
    (["create", "x", "--connection-string", URL, "--sslmode", ""], 64, "--sslmode must not be empty"),
    (["create", "x", "--host", "h", "--scheme=", "--database", "d", "--user", "u", "--password", "p"], 64, "--origin-scheme"),
    (["create", URL, "--database", "d"], 64, "looks like a connection string"),
    (["create", "x", "--connection-string", ""], 64, "The connection string is empty."),
    (["create", "x", "--connection-string="], 64, "The connection string is empty."),
    (["create", "x", "--connection-string", " \t "], 64, "The connection string is empty."),
    (["create", "x", "--connection-string-env", ""], 64, "--connection-string-env is empty."),
    (["create", "x", "--connection-string-env", "EMPTY"], 64, "The environment variable EMPTY is empty."),
    (["create", "x", "--connection-string-env", "BLANK"], 64, "The connection string is empty."),
    (["create", "x", "--host", "h", "--user", "u", "--database", "d", "--password", ""], 64, "--origin-password is empty."),
    (["create", "x", "--host", "h", "--user", "u", "--database", "d", "--origin-password-file", ""], 64, "--origin-password-file is empty."),
    (["create", "x", "--host", "h", "--user", "u", "--database", "", "--password", "p"], 64, "--database is empty."),
    (["create", "x", "--host", "h", "--user", "u", "--database", "d", "--origin-password-file", "/dev/null"], 64, "holds no password"),
    (["apply", "-f", "/dev/null", "--prune"], 64, "The file is empty."),
    (["apply", "-f", "-", "--prune"], 64, "The file is empty."),
    (["update", "x", "--connection-string", ""], 64, "--connection-string must not be empty"),
    (["update", "x", "--connection-string-env", ""], 64, "--connection-string-env must not be empty"),
    (["update", "x", "--origin-password-file", ""], 64, "--origin-password-file must not be empty"),
])
def test_wrong_usage_says_what_and_what_to_do(hd, words, code, says):
    result = hd.run(*words, env={"EMPTY": "", "BLANK": " "})
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert result.stderr.startswith("✘ [ERROR] ")
    assert "\x1b" not in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize("words", [
    ["list"], ["get", "x"], ["update", "x", "--max-age", "3"], ["delete", "x", "--yes"], ["bind", "x"], ["env"],
    ["create", "x", "--connection-string", URL, "--no-verify"]])
def test_a_wrangler_file_that_is_named_must_be_there(hd, words):
    result = hd.run(*words, "-c", "missing.toml")
    assert result.returncode == 1 and "missing.toml" in result.stderr and "--config" in result.stderr
    assert hd.json("list", "--json") == [], "nothing was done"


def test_help_is_a_word_too(hd):
    assert hd("help") == hd("--help") == hd()
    assert hd("help", "create") == hd("create", "--help")
    assert hd("help", "cert", "upload") == hd("cert", "upload", "--help")
    assert "Unknown command: crate" in hd.run("help", "crate").stderr


def test_json_is_one_document_for_versions_and_logs_too(hd):
    assert hd.json("--version", "--json")["version"] == hd("--version").strip()
    create(hd, "x")
    os.makedirs(os.path.join(hd.home, "log"))
    with open(os.path.join(hd.home, "log", hd.json("get", "x")["id"] + ".log"), "w") as f:
        f.write("one\ntwo \"2\"\nthree\n")
    assert hd.json("logs", "x", "-n", "2", "--json") == ['two "2"', "three"]
    assert hd.json("logs", "x", "-n", "0", "--json") == []
    refused = hd.run("logs", "x", "-f", "--json")
    assert refused.returncode == 64 and "--follow has no end" in json.loads(refused.stderr)["error"]["message"]


@pytest.mark.parametrize("words", [["stats", "--watch"], ["logs", "x", "--follow"]])
def test_what_has_no_end_prints_no_document(hd, words):
    create(hd, "x")
    result = hd.run(*words, "--json")
    assert result.returncode == 64 and "has no end" in json.loads(result.stderr)["error"]["message"]


def test_json_errors_are_one_document_on_standard_error(hd):
    for words in (["get", "nothing", "--json"], ["--json", "get", "nothing"], ["get", "nothing", "--jsn", "--json"]):
        result = hd.run(*words)
        assert result.stdout == ""
        error = json.loads(result.stderr)["error"]
        assert set(error) >= {"code", "message", "hint"} and error["message"]
    assert json.loads(hd.run("get", "nothing", "--json").stderr)["error"]["code"] == 2006


def test_flags_are_read_as_wrangler_reads_them(hd):
    spellings = [
        ["--origin-host", "h", "--origin-port", "1", "--origin-user", "u", "--database", "d", "--origin-password", "p"],
        ["--host=h", "--port=1", "--user=u", "--database=d", "--password=p"],
        ["--originHost", "h", "--originPort=1", "--originUser", "u", "--database", "d", "--originPassword", "p"],
    ]
    for n, flags in enumerate(spellings):
        hd("create", f"c{n}", *flags, "--no-verify", "--no-caching-disabled")
        origin = hd.json("get", f"c{n}")["origin"]
        assert (origin["host"], origin["port"], origin["user"], origin["database"]) == ("h", 1, "u", "d")
    for n, flags in enumerate([["--caching-disabled"], ["--caching-disabled", "true"], ["--cachingDisabled=true"],
                               ["--no-caching-disabled", "--caching-disabled"]]):
        assert create(hd, f"off{n}", *flags)["caching"]["disabled"] is True
    for n, flags in enumerate([["--caching-disabled", "false"], ["--caching-disabled=false"], ["--no-caching-disabled"]]):
        assert create(hd, f"on{n}", *flags)["caching"]["disabled"] is False


def test_a_password_may_begin_with_a_dash_when_it_is_written_with_an_equals_sign(hd):
    hd("create", "x", "--host", "h", "--database", "d", "--user", "u", "--password=-secret", "--no-verify")
    result = hd.run("create", "y", "--host", "h", "--database", "d", "--user", "u", "--password", "-secret")
    assert result.returncode == 64 and "--origin-password=-value" in result.stderr


def test_global_flags_stand_anywhere(hd):
    create(hd, "x")
    assert hd.json("--json", "list") == hd.json("list", "--json")
    assert hd("-q", "list") and hd("list", "-qy")
    assert hd("--version").strip() == hd("list", "-v").strip()
    os.makedirs(os.path.join(hd.cwd, "below"))
    hd("--cwd", "below", "list")


def test_default_ports_follow_the_scheme(hd):
    base = ["--host", "h", "--database", "d", "--user", "u", "--password", "p", "--no-verify"]
    hd("create", "pg", *base)
    hd("create", "my", *base, "--scheme", "mysql")
    assert hd.json("get", "pg")["origin"]["port"] == 5432
    assert hd.json("get", "my")["origin"]["port"] == 3306
    hd("update", "my", "--origin-host", "other", "--origin-port", "1234", "--no-verify")
    hd("update", "my", "--origin-host", "third", "--no-verify")
    assert (hd.json("get", "my")["origin"]["host"], hd.json("get", "my")["origin"]["port"]) == ("third", 1234)


@pytest.mark.parametrize("name", ["bad name!", "it's", "$HOME", "`x`", "a;b", "#x", "~", "-dash", "ünï", "プロド", 'two "quotes"'])
def test_any_name_that_wrangler_takes_works_and_can_be_typed_as_it_is_told(hd, name):
    hd("create", "--connection-string", URL, "--no-verify", "--", name)
    config = hd.json("get", "--", name)
    assert config["name"] == name
    for words in (["stats"], ["logs"], ["cache", "purge"]):
        hint = hd.run(*words, "--", name).stderr.splitlines()
        command = next(line for line in hint if "hyperdrive start" in line).split("Start it: ")[1]
        typed = subprocess.run(["sh", "-c", command.replace("start", "get", 1)], env=hd.env, cwd=hd.cwd, capture_output=True, text=True)
        assert typed.returncode == 0 and json.loads(typed.stdout)["id"] == config["id"], (command, typed.stderr)
    assert name in hd("list") and hd("url", "--", name) == hd("url", config["id"])
    with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
        f.write('name = "w"\n')
    hd("bind", "--", name)
    assert hd.json("bindings", "--json")[0]["id"] == config["id"]
    assert hd.json("status", "--json", "--", name)["state"] == "stopped"
    hd("delete", "--yes", "--", name)


def test_if_not_exists_and_upsert(hd):
    first = create(hd, "x", "--max-age", "10")
    assert create(hd, "x", "--if-not-exists", "--max-age", "99")["caching"]["max_age"] == 10
    changed = create(hd, "x", "--upsert", "--max-age", "20")
    assert changed["id"] == first["id"] and changed["caching"]["max_age"] == 20
    again = hd.run("create", "x", "--connection-string", URL, "--no-verify", "--json")
    assert again.returncode == 1 and json.loads(again.stderr)["error"]["code"] == 2017


def test_quiet_create_prints_the_id_alone(hd):
    assert hd("create", "x", "--connection-string", URL, "--no-verify", "-q").strip() == hd.json("get", "x")["id"]


def test_secrets_by_file_standard_input_and_variable(hd):
    path = os.path.join(hd.cwd, "password")
    with open(path, "w") as f:
        f.write("from-a-file\n")
    hd("create", "a", "--host", "h", "--database", "d", "--user", "u", "--origin-password-file", path, "--no-verify")
    hd("create", "b", "--connection-string", "-", "--no-verify", stdin=URL + "\n")
    hd("create", "c", "--connection-string-env", "MY_URL", "--no-verify", env={"MY_URL": URL})
    assert [c["name"] for c in hd.json("list", "--json")] == ["a", "b", "c"]


def test_help_of_every_command_has_examples(hd):
    overview = hd("--help")
    commands = [line.split()[1] for line in overview.split("GLOBAL FLAGS")[0].splitlines() if line.startswith("  hyperdrive ")]
    assert {"create", "dev", "cache", "cert", "doctor"} <= set(commands)
    for command in commands:
        text = hd(command, "--help")
        assert text.startswith(f"hyperdrive {command}")
        if "COMMANDS" not in text:
            assert "EXAMPLES" in text and f"hyperdrive {command}" in text.split("EXAMPLES")[1], command
    assert hd("cert", "upload", "--help").startswith("hyperdrive cert upload")


def test_bindings_in_a_toml_file(hd):
    path = os.path.join(hd.cwd, "wrangler.toml")
    original = '# mine\nname = "demo"\r\n\n[env.staging]\nname = "s"  # keep\n'
    with open(path, "w", newline="") as f:
        f.write(original)
    os.chmod(path, 0o640)
    created = create(hd, "x")
    hd("bind", "x", "--binding", "my-db")
    hd("bind", "x", "-e", "staging")
    rows = hd.json("bindings", "--json")
    assert [(r["environment"], r["binding"], r["id"], r["config"]) for r in rows] == \
           [("", "my_db", created["id"], "x"), ("staging", "HYPERDRIVE", created["id"], "x")]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert "still binds it" in hd.run("delete", "x", "--yes").stderr
    assert [r["known"] for r in hd.json("bindings", "--json")] == [False, False]
    hd("unbind", "my_db")
    hd("unbind", "HYPERDRIVE", "-e", "staging")
    with open(path, newline="") as f:
        assert f.read() == original


def test_a_broken_wrangler_file_stops_create_before_anything_is_stored(hd):
    path = os.path.join(hd.cwd, "wrangler.toml")
    with open(path, "w") as f:
        f.write('name = "demo"\nmain = \n')
    result = hd.run("create", "x", "--connection-string", URL, "--no-verify", "--binding", "DB")
    assert result.returncode == 1 and "wrangler.toml" in result.stderr and "2" in result.stderr
    assert hd.json("list", "--json") == []
    with open(path) as f:
        assert f.read() == 'name = "demo"\nmain = \n'


def test_env_lines(hd):
    create(hd, "x")
    url = hd("url", "x").strip()
    assert hd("env", "x").strip() == f"CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE={url}"
    with open(os.path.join(hd.cwd, ".env"), "w") as f:
        f.write("A=1\n# mine\nB='2'\n")
    hd("env", "x", "--write", ".env")
    with open(os.path.join(hd.cwd, ".env")) as f:
        text = f.read()
    assert text.startswith("A=1\n# mine\nB='2'\n") and url in text
    hd("env", "x", "--write", ".env")
    with open(os.path.join(hd.cwd, ".env")) as f:
        assert f.read() == text, "writing twice changes nothing"


def test_env_lines_lead_to_configs_that_a_proxy_can_be_started_for(hd):
    config = create(hd, "x")
    temporary = 'name = "w"\n[[hyperdrive]]\nbinding = "T"\nid = "%032x"\nlocalConnectionString = "%s"\n' % (7, URL)
    with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
        f.write(temporary + f'[[hyperdrive]]\nbinding = "X"\nid = "{config["id"]}"\n')
    result = hd.run("env")
    assert result.stdout.splitlines() == [f"CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_X={hd('url', 'x').strip()}"]
    assert result.stderr.startswith("T is left out")
    with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
        f.write(temporary)
    result = hd.run("env", "--write", ".env")
    assert result.returncode == 1 and "hyperdrive pull" in result.stderr and not os.path.exists(os.path.join(hd.cwd, ".env"))


def test_output_that_did_not_get_to_its_file_is_an_error(hd):
    create(hd, "x")
    with open("/dev/full", "w") as full:
        for words in (["export"], ["env", "x"], ["list"], ["get", "x", "--json"], ["completions", "bash"], ["help"], ["--version"]):
            result = subprocess.run([os.path.join(BIN, "hyperdrive"), *words], env=hd.env, cwd=hd.cwd, stdout=full,
                                    stderr=subprocess.PIPE, text=True)
            assert result.returncode == 1 and "No space left on device" in result.stderr, words
    # A reader that has seen enough is none.
    left = subprocess.run(["bash", "-c", "hyperdrive list | true; exit ${PIPESTATUS[0]}"], env=hd.env, cwd=hd.cwd)
    assert left.returncode == 0


def test_local_flags_are_stored_and_shown_with_their_defaults(hd):
    create(hd, "x", "--cache-rule", "orders:max-age=5", "--cache-rule", "audit.*:no-cache", "--invalidation", "writes",
           "--idle-timeout", "30s", "--cache-size", "8MiB")
    everything = hd.json("get", "x", "--all")["local"]
    assert everything["invalidation"]["value"] == "writes" and everything["invalidation"]["default"] == "none"
    assert len(everything["cache_rules"]["value"]) == 2
    assert everything["idle_timeout"]["value"] != everything["idle_timeout"]["default"]
    assert "password" not in everything and "local_password" not in everything


def test_an_origin_that_only_cloudflare_reaches_is_stored_and_said(hd):
    result = hd.run("create", "x", "--service-id", "0191-abc", "--database", "d", "--user", "u", "--password", "p")
    assert result.returncode == 0 and "Cloudflare" in result.stderr
    assert hd.json("get", "x")["origin"]["service_id"] == "0191-abc"
    assert "Cloudflare" in hd.run("start", "x").stderr


@pytest.mark.parametrize("damage, says", [
    (b"this is not a database, and never was one" * 40, "registry"),
    (b"", ""),
])
def test_a_damaged_registry_is_reported_and_left_alone(hd, damage, says):
    create(hd, "x")
    path = os.path.join(hd.home, "registry.db")
    for extra in ("-wal", "-shm"):
        if os.path.exists(path + extra):
            os.remove(path + extra)
    with open(path, "wb") as f:
        f.write(damage)
    result = hd.run("list")
    if damage:
        assert result.returncode == 1 and says in result.stderr
        with open(path, "rb") as f:
            assert f.read() == damage
        os.remove(path)
    else:
        assert result.returncode == 0


def test_a_newer_registry_is_refused_and_left_alone(hd):
    import sqlite3
    create(hd, "x")
    path = os.path.join(hd.home, "registry.db")
    db = sqlite3.connect(path)
    db.execute("pragma user_version = 9999")
    db.close()
    result = hd.run("list")
    assert result.returncode == 1 and "newer" in result.stderr
    db = sqlite3.connect(path)
    assert db.execute("pragma user_version").fetchone()[0] == 9999
    db.execute("pragma user_version = 1")
    db.close()


# What the real wrangler 4.164 accepts besides the recordings, and what it sends then.
@pytest.mark.parametrize("flags, stored", [
    (["--connection-string", "postgres://u:p@h/d", "--scheme", "mysql"], {"origin": {"scheme": "postgres", "port": 5432}}),
    (["--connection-string", "mysql://u:p@h/d", "--originScheme=mysql"], {"origin": {"scheme": "mysql", "port": 3306}}),
    (["--connection-string", URL, "--no-cachingDisabled"], {"caching": {"disabled": False}}),
    (["--connection-string", URL, "--max-age", " 0b11 "], {"caching": {"max_age": 3}}),
    (["--connection-string", URL, "--max-age=0o17", "--swr=1e2"], {"caching": {"max_age": 15, "stale_while_revalidate": 100}}),
    (["--connection-string", URL, "--name", "ignored"], {"name": "n"}),
    (["--connection-string", URL, "--", "ignored", "--too"], {"name": "n"}),
    (["--host=\"h\"", "--database='d'", "--user='u'", "--password='p'", "--max-age=\"5\"", "--caching-disabled='false'"],
     {"origin": {"host": "h", "database": "d", "user": "u"}, "caching": {"max_age": 5, "disabled": False}}),
    (["--host", "h", "--database", "'d'", "--user='u", "--password", "p"], {"origin": {"database": "'d'", "user": "'u"}}),
])
def test_what_wrangler_accepts_is_accepted(hd, flags, stored):
    hd("create", "n", "--no-verify", *flags)
    config = hd.json("get", "n")
    for key, value in stored.items():
        if isinstance(value, dict):
            assert config[key] | value == config[key]
        else:
            assert config[key] == value


def test_a_certificate_is_taken_off_with_an_empty_id(hd):
    create(hd, "n", "--ca-certificate-id", "some-id", "--sslmode", "verify-ca")
    assert hd.json("get", "n")["mtls"] == {"ca_certificate_id": "some-id", "sslmode": "verify-ca"}
    hd("update", "n", "--ca-certificate-id", "", "--no-verify")
    assert hd.json("get", "n")["mtls"] == {"sslmode": "verify-ca"}


def test_a_full_disk_is_said_so_reading_goes_on_and_nothing_is_lost(hd):
    """A file system of 160 KiB in a mount namespace of its own."""
    script = """set -u
        mount -t tmpfs -o size=160k tmpfs "$1" || exit 77
        export HYPERDRIVE_HOME=$1/home
        hyperdrive create first --connection-string postgres://u:p@h/d --no-verify -q >/dev/null || exit 1
        head -c 300000 /dev/zero > "$1/fill" 2>/dev/null
        for words in "create second --connection-string postgres://u:p@h/d --no-verify" "update first --max-age 3" "delete first --yes"; do
            hyperdrive $words 2>&1; echo "exit $?"
        done
        hyperdrive list --json && hyperdrive get first >/dev/null && hyperdrive url first >/dev/null || exit 2
        rm "$1/fill"
        hyperdrive create second --connection-string postgres://u:p@h/d --no-verify -q >/dev/null || exit 3
        hyperdrive doctor -q || exit 4"""
    result = subprocess.run(["unshare", "--mount", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]),
                             "sh", "-c", script, "sh", hd.cwd], env=hd.env, text=True, capture_output=True)
    if result.returncode == 77 or "unshare" in result.stderr:
        pytest.skip("no mount namespaces here")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("is full.") == 3 and result.stdout.count("exit 1") == 3, result.stdout
    assert result.stdout.count("Free some space") == 3 and '"name": "first"' in result.stdout


def test_a_folder_that_cannot_be_written_can_be_read(hd):
    create(hd, "first")
    os.chmod(hd.folder, 0o755)
    for program in ("hyperdrive", "hyperdrive-proxy"):  # where others than root can run them
        shutil.copy(os.path.join(BIN, program), hd.folder)
    for file in (hd.home, *(os.path.join(hd.home, name) for name in os.listdir(hd.home))):
        unprivileged.give(file)
    os.chmod(hd.home, 0o500)

    def run(*words):
        command = unprivileged.command([os.path.join(hd.folder, "hyperdrive"), *words])
        return subprocess.run(command, env=hd.env, cwd="/", text=True, capture_output=True, stdin=subprocess.DEVNULL)
    try:
        for words in (["list"], ["get", "first"], ["url", "first"], ["status"], ["export"]):
            assert run(*words).returncode == 0, run(*words).stderr
        for words in (["create", "x", "--connection-string", URL, "--no-verify"], ["update", "first", "--max-age", "3"],
                      ["delete", "first", "--yes"], ["start", "first"]):
            result = run(*words)
            assert result.returncode == 1 and "write access" in result.stderr and "HYPERDRIVE_HOME" in result.stderr, result.stderr
        doctor = run("doctor")
        assert doctor.returncode == 1 and "cannot be written" in doctor.stdout
    finally:
        os.chmod(hd.home, 0o700)
    assert [c["name"] for c in hd.json("list", "--json")] == ["first"]
