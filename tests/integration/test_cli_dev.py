"""`hyperdrive dev`, start, stop, restart, status: with a real Postgres and real signals."""

import json
import os
import re
import signal
import subprocess
import sys

import psycopg
import pytest
from support.hyperdrive import BIN, Hyperdrive
from support.mariadb import MariaDB
from support.ports import PATIENCE, can_connect, free_port, wait_for
from support.postgres import Postgres
from support.terminal import Terminal

VARIABLE = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_"


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql("create table products(id int primary key, name text); insert into products values (1, 'one'), (2, 'two')")
        yield pg


@pytest.fixture
def hd(origin):
    with Hyperdrive() as hd:
        hd("create", "shop", "--connection-string", origin.url())
        yield hd


def wrangler_file(hd, text):
    with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
        f.write(text)


def bound(hd, *names):
    text = 'name = "w"\n'
    for name in names:
        text += f'[[hyperdrive]]\nbinding = "{name}"\nid = "{hd.json("get", "shop")["id"]}"\n'
    wrangler_file(hd, text)


def start_dev(hd, *words, **more):
    return subprocess.Popen([os.path.join(BIN, "hyperdrive"), "dev", *words], env=hd.env, cwd=hd.cwd, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def port_of(hd, name="shop"):
    return int(re.search(r":(\d+)/", hd("url", name))[1])


def two_configs(hd, origin, *names):
    for name in names:
        hd("create", name, "--connection-string", origin.url(), "--no-verify")


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith(VARIABLE))


def gone(hd):
    wait_for(lambda: not can_connect(port_of(hd)), what="the proxy to end")
    wait_for(lambda: hd.json("status", "shop", "--json")["state"] == "stopped", what="its files to go")


def test_the_command_gets_a_variable_for_each_binding_and_gives_its_exit_code(hd):
    bound(hd, "HYPERDRIVE", "OTHER")
    result = hd.run("dev", "--", "sh", "-c", f'env | grep ^CLOUDFLARE_; exit 7')
    assert result.returncode == 7
    lines = dict(line.split("=", 1) for line in result.stdout.splitlines() if line.startswith(VARIABLE))
    assert lines == {VARIABLE + "HYPERDRIVE": hd("url", "shop").strip(), VARIABLE + "OTHER": hd("url", "shop").strip()}
    gone(hd)


def test_a_query_of_the_command_is_answered_and_shown(hd):
    bound(hd, "HYPERDRIVE")
    result = hd.run("dev", "--", "sh", "-c", f'psql "${VARIABLE}HYPERDRIVE" -Atc "select name from products where id = 2"')
    assert result.returncode == 0 and "two" in result.stdout
    assert "localConnectionString" not in result.stderr, "the stored config serves"
    assert re.search(r"[A-Z]+(: .*)? [0-9.]+ ms +1 row +select name from products where id = 2", result.stdout)


def test_with_json_each_query_is_a_json_line(hd):
    bound(hd, "DB")
    query = f'psql -qAt "${VARIABLE}DB" -c "select name from products where id = 2" >&2'
    result = hd.run("dev", "--json", "--", "sh", "-c", query)
    assert result.returncode == 0 and "two" in result.stderr, result.stderr
    (event,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert event["config"] == "shop" and "from products" in event["sql"] and event["rows"] == 1


def test_environments_have_their_own_bindings(hd):
    wrangler_file(hd, f'name = "w"\n[env.staging]\n[[env.staging.hyperdrive]]\nbinding = "S"\nid = "{hd.json("get", "shop")["id"]}"\n')
    result = hd.run("dev", "--", "env")
    assert result.returncode == 1 and "no Hyperdrive binding" in result.stderr
    assert VARIABLE + "S=" in hd("dev", "-e", "staging", "--", "env")


def test_an_unknown_id_uses_the_local_connection_string(hd, origin):
    wrangler_file(hd, f'name = "w"\n[[hyperdrive]]\nbinding = "DB"\nid = "ffffffffffffffffffffffffffffffff"\n'
                      f'localConnectionString = "{origin.url()}"\n')
    result = hd.run("dev", "--", "sh", "-c", f'psql "${VARIABLE}DB" -Atc "select name from products where id = 1"')
    assert result.returncode == 0 and "one" in result.stdout, result.stderr
    wrangler_file(hd, 'name = "w"\n' + "".join(
        f'[[hyperdrive]]\nbinding = "DB{n}"\nid = "{n:032x}"\nlocalConnectionString = "{origin.url()}"\n' for n in (1, 2)))
    result = hd.run("dev", "--", "sh", "-c", " && ".join(f'psql "${VARIABLE}DB{n}" -Atc "select {n} + 40"' for n in (1, 2)))
    answers = [line for line in result.stdout.splitlines() if line in ("41", "42")]   # dev's own lines come between
    assert result.returncode == 0 and answers == ["41", "42"], (result.stdout, result.stderr)
    wrangler_file(hd, 'name = "w"\n[[hyperdrive]]\nbinding = "DB"\nid = "ffffffffffffffffffffffffffffffff"\n')
    result = hd.run("dev", "--", "true")
    assert result.returncode == 1 and "pull" in result.stderr and "create" in result.stderr


def test_a_command_that_is_not_there(hd):
    assert hd.run("dev", "shop", "--", "no-such-program-here").returncode == 127
    gone(hd)
    result = hd.run("dev", "npx", "wrangler", "dev")
    assert result.returncode == 1 and "hyperdrive dev -- npx" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(hd, number):
    name = signal.Signals(number).name.removeprefix("SIG")
    process = start_dev(hd, "shop", "--", "bash", "-c", f'trap "echo got-{name}; exit 9" {name}; echo ready; while :; do sleep 0.1; done')
    while "ready" not in process.stdout.readline():
        pass
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 9 and f"got-{name}" in out
    gone(hd)


def test_without_a_command_it_runs_until_ctrl_c(hd):
    with Terminal(hd, "dev", "shop") as terminal:
        terminal.expect("Ctrl-C ends it")
        with psycopg.connect(hd("url", "shop").strip()) as connection:
            assert connection.execute("select name from products where id = 1").fetchone() == ("one",)
        terminal.expect("select name from products where id = 1")
        terminal.interrupt()
        assert terminal.wait() == 130
    gone(hd)


def test_ctrl_c_on_a_terminal_reaches_the_command_once(hd):
    with Terminal(hd, "dev", "shop", "--", "bash", "-c",
                  'n=0; trap "n=\\$((n+1)); echo int-\\$n" INT; echo ready; while [ $n -lt 2 ]; do sleep 0.1; done; echo end; exit 4') as terminal:
        terminal.expect("ready")
        terminal.interrupt()
        terminal.expect("int-1")
        terminal.interrupt()
        terminal.expect("int-2")
        assert terminal.wait() == 4
        assert "int-3" not in terminal.output
    gone(hd)


def test_kill_9_of_dev_ends_its_proxy_and_its_command(hd):
    process = start_dev(hd, "shop", "--", "sh", "-c", "echo pid $$; exec sleep 1000", start_new_session=True)
    line = ""
    while not line.startswith("pid "):
        line = process.stdout.readline()
    child = int(line.split()[1])
    assert can_connect(port_of(hd))
    process.kill()
    process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{child}"), what="the command to end")
    gone(hd)
    hd("start", "shop")


def test_configs_that_nothing_binds_are_named_apart(hd, origin):
    two_configs(hd, origin, "prod-db", "other db")
    show = ("--", "sh", "-c", "env | grep ^CLOUDFLARE_")
    assert list(variables(hd("dev", "shop", *show))) == [VARIABLE + "HYPERDRIVE"]
    assert list(variables(hd("dev", "shop", "shop", *show))) == [VARIABLE + "HYPERDRIVE"], "the same twice is one"
    result = hd.run("dev", "prod-db", "other db", *show)
    assert variables(result.stdout) == {VARIABLE + "PROD_DB": hd("url", "prod-db").strip(),
                                        VARIABLE + "OTHER_DB": hd("url", "other db").strip()}, result.stderr
    for variable in variables(result.stdout):
        assert variable + "." in result.stderr, "which variable leads where is told"
    # One of them is bound: it keeps its name, and the other is HYPERDRIVE as ever.
    wrangler_file(hd, f'name = "w"\n[[hyperdrive]]\nbinding = "DB"\nid = "{hd.json("get", "prod-db")["id"]}"\n')
    assert set(variables(hd("dev", "prod-db", "shop", *show))) == {VARIABLE + "DB", VARIABLE + "HYPERDRIVE"}


@pytest.mark.parametrize("names, binding", [(("a-b", "a_b"), "A_B"), (("hyperdrive", "shop"), "HYPERDRIVE")])
def test_two_configs_under_one_binding_are_refused(hd, origin, names, binding):
    two_configs(hd, origin, *(name for name in names if name != "shop"))
    if "shop" in names:
        bound(hd, binding)      # shop has the name that the other one gets by default
    result = hd.run("dev", *names, "--", "true")
    assert result.returncode == 1 and f"would both be the binding {binding}" in result.stderr, result.stderr
    assert f"hyperdrive bind {names[1]} --binding" in result.stderr


def test_the_end_of_a_killed_devs_proxy_is_no_crash(hd):
    process = start_dev(hd, "shop")
    while "Ctrl-C ends it" not in process.stdout.readline():
        pass
    process.kill()
    process.wait()
    seen = set()

    def ended():
        seen.add(hd.json("status", "shop", "--json")["state"])
        return "stopped" in seen
    wait_for(ended, what="the proxy to end")
    assert "crashed" not in seen and "not running: it" not in hd.run("stats", "shop").stderr


def test_a_crash_is_told_until_the_proxy_is_started_or_stopped(hd):
    def crash():
        hd("start", "shop")
        os.kill(hd.pid("shop"), signal.SIGKILL)
        wait_for(lambda: hd.json("status", "shop", "--json")["state"] == "crashed", what="the proxy to be gone")
    crash()
    for _ in range(2):
        assert re.search(r"\d+ crashed", hd("list"))
        assert hd.json("status", "shop", "--json")["state"] == "crashed" and "crashed" in hd("status")
        assert "ended unexpectedly" in hd.run("stats", "shop").stderr and "ended unexpectedly" in hd("doctor")
    assert "it had ended unexpectedly" in hd("stop", "shop")
    assert hd.json("status", "shop", "--json")["state"] == "stopped" and "crashed" not in hd("list")
    crash()
    assert hd.json("status", "shop", "--json")["state"] == "crashed"
    hd("start", "shop")
    assert hd.json("status", "shop", "--json")["state"] == "running"
    os.kill(hd.pid("shop"), signal.SIGTERM)     # somebody's, in order
    wait_for(lambda: hd.json("status", "shop", "--json")["state"] == "stopped", what="the proxy to end")


def holding(origin, seconds):
    """Shell: holds a connection for so long, and goes on when the origin has begun with that."""
    sleeps = f"select pg_sleep({seconds})"
    begun = f"select count(*) from pg_stat_activity where state = 'active' and query = '{sleeps}'"
    return (f'psql "${VARIABLE}HYPERDRIVE" -Atqc "{sleeps}" & '
            f'until [ "$(psql "{origin.url()}" -Atqc "{begun}")" = 1 ]; do sleep 0.02; done; ')


def test_what_the_proxy_refused_is_shown_with_its_reason(hd, origin):
    def run(*texts):
        words = " ".join(f"-c '{text}'" for text in texts)
        return hd("dev", "shop", "--", "sh", "-c", f'psql "${VARIABLE}HYPERDRIVE" -Atq {words} || true')
    line = re.compile(r"^REFUSED: 58000 Unsupported in a pooled connection: LISTEN\.  LISTEN news$", re.M)
    assert line.search(run("LISTEN news"))
    # Within a transaction the error is made at the origin, but it is the same to whoever looks.
    out = run("BEGIN", "LISTEN news")
    assert len(line.findall(out)) == 1 and "hyperdrive_refused" not in out
    hd("update", "shop", "--origin-connection-limit", "2", "--wait-timeout", "300ms")
    out = hd("dev", "shop", "--", "sh", "-c", f'{holding(origin, 2)} psql "${VARIABLE}HYPERDRIVE" -Atqc "select 40 + 2"; wait')
    assert re.search(r"^REFUSED: 53300 Timed out while waiting .+  select 40 \+ 2$", out, re.M), out


def test_what_was_refused_is_shown_for_mysql_too():
    script = ("import os, pymysql, urllib.parse as u\n"
              f"p = u.urlparse(os.environ['{VARIABLE}HYPERDRIVE'])\n"
              "c = pymysql.connect(host=p.hostname, port=p.port, user=p.username, password=p.password, database=p.path[1:])\n"
              "try: c.cursor().execute('load data local infile \"/etc/hostname\" into table t')\n"
              "except pymysql.Error: pass\n")
    with MariaDB() as db, Hyperdrive() as hd:
        db.sql("create table t (id int primary key)")
        hd.create("shop", db.url())
        out = hd("dev", "shop", "--", sys.executable, "-c", script)
    assert re.search(r"^REFUSED: HY000 .*local infile.*  load data local infile", out, re.M), out


def test_the_time_that_is_shown_has_the_wait_for_a_connection_in_it(hd, origin):
    hd("update", "shop", "--origin-connection-limit", "1", "--caching-disabled")
    out = hd("dev", "shop", "--json", "--", "sh", "-c",
             f'exec >&2; {holding(origin, 3)} psql "${VARIABLE}HYPERDRIVE" -Atqc "select 40 + 2"; wait')
    (event,) = [event for event in map(json.loads, out.splitlines()) if event.get("sql") == "select 40 + 2"]
    assert 300_000 < event["wait_us"] <= event["duration_us"] == event["wait_us"] + event["origin_us"], event


def test_a_proxy_that_runs_already_is_used_and_left_running(hd):
    hd("start", "shop")
    pid = hd.pid("shop")
    assert hd.run("dev", "shop", "--", "true").returncode == 0
    assert hd.json("status", "shop", "--json")["state"] == "running" and hd.pid("shop") == pid


def test_two_devs_share_a_proxy_and_the_second_goes_on_alone(hd):
    bound(hd, "HYPERDRIVE")
    # The first one's command ends when the second one's runs; the second asks when the first is gone.
    first = start_dev(hd, "--", "sh", "-c", "while [ ! -e second ]; do sleep 0.1; done")
    wait_for(lambda: can_connect(port_of(hd)), what="the first one's proxy")
    ask = f'psql "${VARIABLE}HYPERDRIVE" -Atc "select 41 + 1"'
    second = start_dev(hd, "--", "sh", "-c", f"touch second; while [ ! -e gone ]; do sleep 0.1; done; "
                                             f"for i in $(seq 300); do {ask} && exit 5; sleep 0.1; done")
    assert first.wait(30 * PATIENCE) == 0
    open(os.path.join(hd.cwd, "gone"), "w").close()
    output, _ = second.communicate(timeout=60 * PATIENCE)
    assert second.returncode == 5 and "42" in output, output
    gone(hd)


def test_dev_shows_the_queries_of_a_proxy_that_was_restarted(hd):
    with Terminal(hd, "dev", "shop") as terminal:
        terminal.expect("Ctrl-C ends it")
        hd("restart", "shop")

        def seen():
            with psycopg.connect(hd("url", "shop").strip()) as connection:
                connection.execute("select name\n   from products\n where id = 2")
            terminal.read(0.1)
            return "1 row  select name from products where id = 2" in terminal.output
        wait_for(seen, what="a line for a query of the new proxy")
        terminal.interrupt()
        assert terminal.wait() == 130
    gone(hd)


def test_status_tells_errors_and_warnings_on_lines_of_their_own(origin):
    with Hyperdrive() as hd:
        gone_port = free_port()
        hd("create", "shop", "--connection-string", origin.url().replace(str(origin.port), str(gone_port)), "--no-verify")
        hd("start", "shop")
        with pytest.raises(psycopg.Error):
            with psycopg.connect(hd("url", "shop").strip()) as connection:
                connection.execute("select 1")
        wait_for(lambda: "shop: warning: " in hd("status"), what="the cache's warning")
        assert re.search(r"^  trouble +\d+ connections? to the origin failed", hd("stats", "shop"), re.M)
        told = hd("status")
        assert re.search(r"^shop: last error: The connection to .* was refused\. Check that", told, re.M), told
        assert "refused" not in told.split("shop: ")[0] and "last error" not in told.split("shop: ")[0]


def test_start_stop_and_status_tell_the_truth(hd):
    assert hd.json("status", "shop", "--json")["state"] == "stopped"
    started = hd.json("start", "shop", "--json")
    assert started["port"] == port_of(hd) and not started["already_running"]
    assert hd.json("start", "shop", "--json")["already_running"]
    assert "running" in hd("list")
    assert hd.run("delete", "shop", "--yes").returncode == 1
    os.kill(hd.pid("shop"), signal.SIGKILL)
    # Its lock goes with the last of it, a moment after its port.
    wait_for(lambda: hd.json("status", "shop", "--json")["state"] in ("crashed", "stopped"), what="the proxy to be gone")
    assert "not running" in hd.run("stats", "shop").stderr
    hd("start", "shop")
    assert hd.json("stop", "shop", "--json")["was_running"]
    assert not hd.json("stop", "shop", "--json")["was_running"]
    hd("start", "shop")
    hd("delete", "shop", "--yes", "--force")
    assert hd.json("list", "--json") == []


def test_restart_cuts_no_query(hd):
    hd("start", "shop")
    before = hd.pid("shop")
    with psycopg.connect(hd("url", "shop").strip(), autocommit=True) as connection:
        running = connection.cursor()
        with subprocess.Popen([os.path.join(BIN, "hyperdrive"), "restart", "shop"], env=hd.env, cwd=hd.cwd,
                              stdout=subprocess.DEVNULL) as restart:
            assert running.execute("select 1 from pg_sleep(0.5)").fetchone() == (1,)
            assert restart.wait(timeout=120) == 0
    assert hd.pid("shop") != before
    with psycopg.connect(hd("url", "shop").strip()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_update_reaches_a_running_proxy_without_dropping_its_clients(hd):
    hd("start", "shop")
    with psycopg.connect(hd("url", "shop").strip(), autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        result = hd.run("update", "shop", "--max-age", "7", "--origin-connection-limit", "9")
        assert result.returncode == 0 and "has taken the change" in result.stderr
        assert connection.execute("select 2").fetchone() == (2,)
    result = hd.run("update", "shop", "--workers", "3")
    assert "For --workers: hyperdrive restart shop" in result.stderr and "has taken" not in result.stderr
    result = hd.run("update", "shop", "--workers", "2", "--idle-timeout", "9m")
    assert "has taken the rest. For --workers: hyperdrive restart shop" in result.stderr
    result = hd.run("update", "shop", "--workers", "0")
    assert "has taken the change" in result.stderr and "restart" not in result.stderr, "it runs with that value"


def test_a_setting_that_needs_a_restart_changes_nothing_before(hd, tmp_path):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                           "key.pem", "-out", "cert.pem", "-subj", "/CN=x", "-days", "3"], cwd=tmp_path, capture_output=True)
    assert made.returncode == 0, made.stderr

    def plain():
        with psycopg.connect(hd("url", "shop").strip(), sslmode="disable", host="127.0.0.1") as connection:
            return connection.execute("select 1").fetchone() == (1,)
    hd("start", "shop")
    result = hd.run("update", "shop", "--listen", "0.0.0.0", "--tls-cert", "cert.pem", "--tls-key", "key.pem", cwd=tmp_path)
    assert "For --listen: hyperdrive restart shop" in result.stderr, result.stderr
    assert plain(), "it still listens on loopback, where nobody needs TLS"
    hd("stop", "shop")
    hd("start", "shop")
    with pytest.raises(psycopg.OperationalError, match="only TLS"):
        plain()
    result = hd.run("update", "shop", "--listen", "", "--tls-cert", "", "--tls-key", "", "--max-age", "7")
    assert "has taken the rest. For --listen, --tls-cert, --tls-key: hyperdrive restart shop" in result.stderr, result.stderr
    with pytest.raises(psycopg.OperationalError, match="only TLS"):
        plain()


def test_the_other_kind_of_database_waits_for_a_restart(hd):
    hd("start", "shop")
    result = hd.run("update", "shop", "--connection-string", "mysql://u:p@127.0.0.1:1/d", "--no-verify")
    assert "For the other kind of database: hyperdrive restart shop" in result.stderr and "has taken" not in result.stderr
    with psycopg.connect(hd("url", "shop").strip().replace("mysql", "postgresql").replace("/d", "/shop")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("before, after", [("none", "writes"), ("writes", "none")])
def test_invalidation_changes_at_once(hd, origin, before, after):
    origin.psql("drop table if exists moving; create table moving (v int); insert into moving values (0)")
    hd("update", "shop", "--invalidation", before)
    hd("start", "shop")
    with psycopg.connect(hd("url", "shop").strip(), autocommit=True) as connection:
        def stays_old():
            """Whether a read is answered from the cache although a write through the proxy came behind it."""
            read = "select v from moving"
            hd("cache", "purge", "shop")
            wait_for(lambda: connection.execute(read).fetchone() and hd.stats("shop")["cache"]["entries"] > 0, what="it is cached")
            old = connection.execute(read).fetchone()
            connection.execute("update moving set v = v + 1")
            return connection.execute(read).fetchone() == old
        assert stays_old() == (before == "none")
        result = hd.run("update", "shop", "--invalidation", after)
        assert "has taken the change" in result.stderr and "restart" not in result.stderr
        assert stays_old() == (after == "none")


def test_url_env_status_and_list_tell_where_the_running_proxy_listens(hd):
    bound(hd, "DB")
    before = hd.start("shop")
    old, new = port_of(hd), free_port()
    hd("update", "shop", "--local-port", str(new))

    def told():
        return [hd("url", "shop").strip(), hd.json("env", "--json")[VARIABLE + "DB"], hd.json("status", "shop", "--json")["address"],
                hd("list"), hd("start", "shop"), hd("dev", "shop", "--", "sh", "-c", f"echo ${VARIABLE}DB")]

    for text in told():
        assert f":{old}" in text or f" {old} running" in text, text
    result = hd.run("url", "shop")
    assert result.stdout.strip() == before, "nothing but the string on standard output"
    assert f":{new}/" in result.stderr and "hyperdrive restart shop" in result.stderr
    with psycopg.connect(hd("url", "shop").strip()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    hd("restart", "shop")
    for text in told():
        assert f":{new}" in text or f" {new} running" in text, text
    assert hd.run("url", "shop").stderr == ""
    with psycopg.connect(hd("url", "shop").strip()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    hd("stop", "shop")
    hd("update", "shop", "--local-port", str(old))
    assert port_of(hd) == old, "of a stopped one: where it will listen"


def test_a_restart_moves_to_another_address_or_says_how_to_get_there(hd, tmp_path):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                           "key.pem", "-out", "cert.pem", "-subj", "/CN=x", "-days", "3"], cwd=tmp_path, capture_output=True)
    assert made.returncode == 0, made.stderr
    hd("update", "shop", "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--listen", "127.0.0.2", cwd=tmp_path)
    hd("start", "shop")

    def answers():
        with psycopg.connect(hd("url", "shop").strip()) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    assert "@127.0.0.2:" in hd("url", "shop") and answers()
    hd("update", "shop", "--listen", "")
    hd("restart", "shop")
    assert "@127.0.0.1:" in hd("url", "shop") and answers()
    hd("update", "shop", "--listen", "0.0.0.0")
    refused = hd.run("restart", "shop")
    assert refused.returncode == 1 and "hyperdrive stop shop && hyperdrive start shop" in refused.stderr, refused.stderr
    assert answers(), "it goes on as it was"


def test_a_port_in_use_is_named_with_its_holder_and_the_next_free_one(hd):
    import socket
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        result = hd.run("update", "shop", "--local-port", str(port))
        assert result.returncode == 0, result.stderr
        result = hd.run("start", "shop")
        assert result.returncode == 1
        assert str(port) in result.stderr and str(os.getpid()) in result.stderr, result.stderr
    hd("start", "shop")


@pytest.mark.parametrize("url, code", [
    ("postgresql://app:wrong@127.0.0.1:{port}/shop", 2013),
    ("postgresql://nobody:x@127.0.0.1:{port}/shop", 2013),
    ("postgresql://app:app-secret@127.0.0.1:{port}/nothing", 2014),
    ("postgresql://app:app-secret@127.0.0.1:{port}/shop?sslmode=require", 2012),
    ("postgresql://app:app-secret@127.0.0.1:{closed}/shop", 2011),
    ("postgresql://app:app-secret@localhost:{closed}/shop", 2011),
    ("postgresql://app:app-secret@nothing.invalid/shop", 2008),
])
def test_create_tells_the_code_and_stores_nothing(hd, origin, url, code):
    result = hd.run("create", "new", "--connection-string", url.format(port=origin.port, closed=free_port()))
    assert result.returncode == 1 and f"[code: {code}]" in result.stderr, result.stderr
    assert "Nothing was stored." in result.stderr and "app-secret" not in result.stderr
    assert result.stderr.count("refused") <= 1, "what happened is said once"
    assert [c["name"] for c in hd.json("list", "--json")] == ["shop"]


def test_delete_of_a_running_config_is_refused_before_it_asks(hd):
    hd("start", "shop")
    with Terminal(hd, "delete", "shop") as terminal:
        assert terminal.wait() == 1
        assert "is running" in terminal.output and "Are you sure" not in terminal.output
    with Terminal(hd, "delete", "shop", "--force") as terminal:
        terminal.expect("Are you sure")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert hd.json("list", "--json") == []


def test_stats_watch_ends_with_130(hd):
    hd("start", "shop")
    with Terminal(hd, "stats", "shop", "--watch") as terminal:
        terminal.expect("origin connections")
        terminal.interrupt()
        assert terminal.wait() == 130
    with Terminal(hd, "top", "shop") as terminal:
        terminal.expect("q ends")
        terminal.type("q")
        assert terminal.wait() == 0
        assert terminal.echo()


def test_ten_starts_at_once_start_one_proxy(hd):
    processes = [subprocess.Popen([os.path.join(BIN, "hyperdrive"), "start", "shop"], env=hd.env, cwd=hd.cwd,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(10)]
    outputs = [p.communicate(timeout=240)[0] for p in processes]
    assert [p.returncode for p in processes] == [0] * 10, outputs
    assert sum("already" not in out for out in outputs) == 1
    assert hd.pid("shop") > 0


def test_lines_tell_the_age_the_stale_write_and_the_reason(hd):
    bound(hd, "HYPERDRIVE")
    once = f'psql "${VARIABLE}HYPERDRIVE" -Atc "select name from products where id = 1"'
    script = (f"until {once} && hyperdrive stats shop --json | tr -d ' ' | grep -q '\"hit\":[1-9]'; do sleep 0.1; done; "
              "for sql in 'select name from products where id = 1' 'select name from products where id = 1' "
              "\"update products set name = name where id = 2\" 'select name from products where id = 1' 'select now()'; do "
              f'psql "${VARIABLE}HYPERDRIVE" -Atc "$sql"; done')
    result = hd.run("dev", "--", "sh", "-c", script)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^HIT [0-9.]+ ms \(age \d+ s\)  1 row  select name", result.stdout, re.M), result.stdout
    assert re.search(r"^STALE HIT: \S*products was written \d+ s ago [0-9.]+ ms \(age \d+ s\)", result.stdout, re.M), result.stdout
    assert re.search(r"^VOLATILE: .*now\(\).* [0-9.]+ ms  1 row  select now\(\)", result.stdout, re.M), result.stdout
