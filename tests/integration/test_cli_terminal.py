"""What a person sees: prompts, hidden passwords, Ctrl-C, narrow windows, colours. In a real pseudo-terminal."""

import os
import re

import pytest
from support.hyperdrive import Hyperdrive
from support.terminal import Terminal

URL = "postgresql://app:secret@db.example.com:5432/shop"


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def add(hd, name):
    hd("create", name, "--connection-string", URL, "--no-verify")


def test_a_missing_password_is_asked_for_and_not_shown(hd):
    with Terminal(hd, "create", "x", "--host", "h", "--user", "app", "--database", "d", "--no-verify") as terminal:
        terminal.expect("Password of app")
        assert not terminal.echo(), "typing is hidden"
        terminal.type("hunter2-typed\n")
        assert terminal.wait() == 0
        assert "hunter2-typed" not in terminal.output
        assert terminal.echo(), "and shown again afterwards"
    assert hd.json("get", "x")["origin"]["user"] == "app"


def test_without_any_origin_the_connection_string_is_asked_for(hd):
    with Terminal(hd, "create", "x", "--no-verify") as terminal:
        terminal.expect("Connection string")
        terminal.type(URL + "\n")
        assert terminal.wait() == 0
        assert "secret" not in terminal.output
    assert hd.json("get", "x")["origin"]["host"] == "db.example.com"


@pytest.mark.parametrize("words", [["--connection-string", "-"],
                                   ["--host", "db.example.com", "--user", "app", "--database", "shop", "--origin-password-file", "-"]])
def test_a_dash_for_a_secret_asks_on_a_terminal_and_return_ends_it(hd, words):
    with Terminal(hd, "create", "shop", *words, "--no-verify") as terminal:
        terminal.expect("(not shown)?")
        terminal.type("postgresql://app:hush-hush@db.example.com/shop\n")
        assert terminal.wait() == 0
        assert "hush-hush" not in terminal.output and terminal.echo()
    assert hd.json("get", "shop")["origin"]["host"] == "db.example.com"


def test_return_at_the_connection_string_prompt_says_that_none_was_given(hd):
    with Terminal(hd, "create", "x") as terminal:
        terminal.expect("not shown")
        terminal.type("\n")
        assert terminal.wait() == 64
        assert "No connection string was given." in terminal.output


def test_ctrl_c_in_a_hidden_prompt_ends_with_130_and_mends_the_terminal(hd):
    with Terminal(hd, "create", "x", "--host", "h", "--user", "app", "--database", "d", "--no-verify") as terminal:
        terminal.expect("Password of app")
        terminal.interrupt()
        assert terminal.wait() == 130
        assert terminal.echo()
    assert hd.json("list", "--json") == []


def test_delete_asks_and_no_is_the_default(hd):
    add(hd, "x")
    with Terminal(hd, "delete", "x") as terminal:
        terminal.expect("Are you sure")
        terminal.type("\n")
        assert terminal.wait() == 0
        terminal.expect("Nothing was deleted")
    with Terminal(hd, "delete", "x") as terminal:
        terminal.expect("Are you sure")
        terminal.type("what\n")
        terminal.expect("Type y or n")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert hd.json("list", "--json") == []


def test_yes_and_ci_ask_nothing(hd):
    add(hd, "a")
    add(hd, "b")
    with Terminal(hd, "delete", "a", "--yes") as terminal:
        assert terminal.wait() == 0
    with Terminal(hd, "delete", "b", env={"CI": "true"}) as terminal:
        assert terminal.wait() == 0
    assert hd.json("list", "--json") == []


def test_create_offers_the_binding_and_no_leaves_the_file_alone(hd):
    path = os.path.join(hd.cwd, "wrangler.toml")
    with open(path, "w") as f:
        f.write('name = "demo"\n')
    with Terminal(hd, "create", "x", "--connection-string", URL, "--no-verify") as terminal:
        terminal.expect("on your behalf?")
        terminal.type("n\n")
        assert terminal.wait() == 0
    with open(path) as f:
        assert f.read() == 'name = "demo"\n'


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_window(hd, columns):
    for n in range(3):
        add(hd, f"config-with-quite-a-long-name-{n}")
    with Terminal(hd, "list", columns=columns) as terminal:
        assert terminal.wait() == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.output).replace("\r", "").split("\n")
    assert any("config-with" in line or "config" in line for line in lines)
    if columns >= 40:
        assert max(len(line) for line in lines) <= columns


def test_colour_on_a_terminal_only_and_never_with_no_color(hd):
    with Terminal(hd, "get", "nothing") as terminal:
        terminal.wait()
        assert "\x1b[" in terminal.output
    for words, env in ((["get", "nothing", "--no-color"], {}), (["get", "nothing"], {"NO_COLOR": "1"}),
                       (["get", "nothing"], {"TERM": "dumb"})):
        with Terminal(hd, *words, env=env) as terminal:
            terminal.wait()
            assert "\x1b" not in terminal.output


def test_names_cannot_drive_the_terminal(hd):
    result = hd.run("create", "x", "--host", "h", "--database", "\x1b]0;owned\x07", "--user", "u", "--password", "p", "--no-verify")
    assert result.returncode == 64 and "\x1b" not in result.stderr


def test_progress_is_shown_when_a_wait_exceeds_a_second(hd):
    program = os.path.join(hd.folder, "slow-proxy")
    with open(program, "w") as f:
        f.write("#!/bin/sh\nsleep 2\necho '{\"ok\":true,\"steps\":[]}'\n")
    os.chmod(program, 0o700)
    with Terminal(hd, "create", "x", "--connection-string", URL, env={"HYPERDRIVE_PROXY": program}) as terminal:
        terminal.expect("Connecting to db.example.com")
        assert terminal.wait() == 0
    result = hd.run("create", "y", "--connection-string", URL, env={"HYPERDRIVE_PROXY": program})
    assert result.returncode == 0 and "Connecting" not in result.stderr, "nothing of it in pipes"


def test_logs_follow_ends_with_130_on_ctrl_c(hd):
    add(hd, "x")
    log = os.path.join(hd.home, "log")
    os.makedirs(log, exist_ok=True)
    path = os.path.join(log, hd.json("get", "x")["id"] + ".log")
    with open(path, "w") as f:
        f.write("".join(f"line {n}\n" for n in range(200)))
    assert hd("logs", "x", "-n", "2") == "line 198\nline 199\n"
    with Terminal(hd, "logs", "x", "-f", "-n", "1") as terminal:
        terminal.expect("line 199")
        with open(path, "a") as f:
            f.write("a new line\n")
        terminal.expect("a new line")
        terminal.interrupt()
        assert terminal.wait() == 130
        assert "line 198" not in terminal.output
