"""What `make install` puts where, completions in the real shells, docs that match the program."""

import os
import re
import shutil
import subprocess

import pytest
from support.hyperdrive import BIN, Hyperdrive, sanitized

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        for name in ("prod-db", "prod-cache"):
            hd("create", name, "--connection-string", "postgres://u:p@h/d", "--no-verify")
        yield hd


def offered(hd, *words):
    return [line.split("\t")[0] for line in hd("__complete", "--", *words).splitlines()]


def test_what_is_offered(hd):
    assert {"create", "dev", "cache", "cert"} <= set(offered(hd, ""))
    assert "__complete" not in offered(hd, "")
    assert offered(hd, "cre") == ["create"]
    assert offered(hd, "cache", "") == ["purge", "explain"]
    assert sorted(offered(hd, "get", "prod")) == ["prod-cache", "prod-db"]
    assert offered(hd, "--json", "get", "prod-d") == ["prod-db"]
    assert offered(hd, "create", "x", "--origin-sch") == ["--origin-scheme"]
    assert offered(hd, "create", "x", "--origin-scheme", "") == ["postgres", "postgresql", "mysql"]
    assert offered(hd, "create", "x", "--origin-password-file", "") == [":files"]
    assert offered(hd, "dev", "--", "np") == [":command"]
    with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
        f.write('name = "x"\n[[hyperdrive]]\nbinding = "MY_DB"\nid = "1"\n[env.staging]\n[env.production]\n')
    assert offered(hd, "unbind", "M") == ["MY_DB"]
    assert offered(hd, "bind", "prod-db", "-e", "") == ["staging", "production"]
    assert offered(hd, "create", "x", "--no-v") == ["--no-verify"]
    assert "--no-help" not in offered(hd, "create", "x", "--no-")
    assert offered(hd, "create", "x", "--origin-scheme=po") == ["--origin-scheme=postgres", "--origin-scheme=postgresql"]
    assert offered(hd, "create", "x", "--origin-scheme", "=", "po") == ["postgres", "postgresql"], "as bash splits it"
    assert offered(hd, "create", "x", "--origin-scheme", "=") == ["postgres", "postgresql", "mysql"]


def test_completion_creates_no_installation():
    with Hyperdrive() as hd:
        assert offered(hd, "get", "") == []
        assert not os.path.exists(hd.home)


@pytest.mark.parametrize("typed, last, offers", [
    ("hyperdrive get prod-d", "prod-d", ["prod-db"]),
    ("hyperdrive get odd", "odd", ["odd\\ name:\\$1"]),
    ("hyperdrive get odd\\ n", "odd\\ n", ["odd\\ name:\\$1"]),
    ("hyperdrive get odd\\ name:", ":", ["\\$1"]),                      # bash replaces what is behind the colon
    ('hyperdrive get "odd n', '"odd n', ['odd name:\\$1']),
    ("hyperdrive get 'odd n", "'odd n", ["odd name:$1"]),
    ("hyperdrive create x --origin-scheme=my", "my", ["mysql"]),
])
def test_bash(hd, typed, last, offers):
    hd("create", "odd name:$1", "--connection-string", "postgres://u:p@h/d", "--no-verify")
    script = f"""source <({BIN}/hyperdrive completions bash)
COMP_LINE=$1 COMP_POINT=${{#1}} COMP_WORDS=(hyperdrive "$2") COMP_CWORD=1; _hyperdrive; printf '%s\\n' "${{COMPREPLY[@]}}" """
    out = subprocess.run(["bash", "-c", script, "bash", typed, last], env=hd.env, cwd=hd.cwd, capture_output=True, text=True)
    assert out.stdout.splitlines() == offers and out.stderr == ""


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh(hd):
    script = f"""autoload -Uz compinit; compinit -u -D; source <({BIN}/hyperdrive completions zsh)
_describe() {{ print -l "${{(@P)2}}" }}; words=(hyperdrive get prod-d); CURRENT=3; _hyperdrive"""
    out = subprocess.run(["zsh", "-fc", script], env=hd.env, cwd=hd.cwd, capture_output=True, text=True)
    assert "prod-db" in out.stdout, out.stderr
    hd("create", "odd name", "--connection-string", "postgres://u:p@h/d", "--no-verify")
    out = subprocess.run(["zsh", "-fc", script.replace("prod-d)", "odd\\\\\\ n)")], env=hd.env, cwd=hd.cwd, capture_output=True, text=True)
    assert out.stdout == "odd name\n", out.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish(hd):
    script = f"{BIN}/hyperdrive completions fish | source; complete -C 'hyperdrive get prod-d'"
    out = subprocess.run(["fish", "-c", script], env=hd.env, cwd=hd.cwd, capture_output=True, text=True)
    assert out.stdout.split() == ["prod-db"], out.stderr


def test_the_page_of_commands_is_the_programs_own(hd):
    with open(os.path.join(ROOT, "docs", "commands.md"), encoding="utf-8") as f:
        assert f.read() == hd("__docs"), "make it anew: hyperdrive __docs > docs/commands.md"


def test_every_page_becomes_a_man_page():
    for name in os.listdir(os.path.join(ROOT, "docs")):
        if name.endswith(".md"):
            page = subprocess.run([os.path.join(ROOT, "scripts", "man-page"), os.path.join(ROOT, "docs", name), "x", "7"],
                                  capture_output=True, text=True, check=True).stdout
            assert page.startswith('.TH "X" "7"') and ".SH DESCRIPTION" in page, name


def test_install(tmp_path):
    build = os.path.dirname(BIN)
    if not os.path.exists(os.path.join(build, "cmake_install.cmake")):
        pytest.skip("the programs under test do not lie in a build folder")
    subprocess.run(["cmake", "--install", build, "--prefix", str(tmp_path)], check=True, capture_output=True)
    for path in ("bin/hyperdrive", "share/bash-completion/completions/hyperdrive", "share/zsh/site-functions/_hyperdrive",
                 "share/fish/vendor_completions.d/hyperdrive.fish", "share/hyperdrive/templates/pg/wrangler.jsonc"):
        assert (tmp_path / path).exists(), path
    with Hyperdrive() as hd:
        program = str(tmp_path / "bin/hyperdrive")
        out = subprocess.run([program, "init", "pg", "my-worker"], cwd=hd.cwd, env=hd.env, capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        with open(os.path.join(hd.cwd, "my-worker", "wrangler.jsonc")) as f:
            text = f.read()
        assert '"name": "my-worker"' in text and "{{" not in text


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_steps_of_the_ci_templates_work(name, tmp_path):
    with open(os.path.join(ROOT, "templates", "ci", name)) as f:
        steps = re.findall(r"^\s*(?:- run: |- )?(hyperdrive .*)$", f.read(), re.M)
    assert [step.split()[1] for step in steps] == ["create", "bind", "dev"]
    (tmp_path / "npm").write_text('#!/bin/sh\nenv | grep ^CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE=post\n')
    (tmp_path / "npm").chmod(0o755)
    with Hyperdrive() as hd:
        with open(os.path.join(hd.cwd, "wrangler.toml"), "w") as f:
            f.write('name = "w"\n')
        env = hd.env | {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d", "PATH": f"{tmp_path}:{hd.env['PATH']}", "CI": "true"}
        for step in steps:
            no_database = step.replace("--connection", "--no-verify --connection")
            result = subprocess.run(["sh", "-ec", no_database], cwd=hd.cwd, env=env, text=True, capture_output=True)
            assert result.returncode == 0, f"{step}: {result.stderr}"


@pytest.mark.skipif(not shutil.which("dpkg"), reason="not a Debian")
@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps libraries that are linked and not used")
def test_the_container_has_every_library_that_the_programs_load():
    libraries = set()
    for program in ("hyperdrive", "hyperdrive-proxy"):
        listed = subprocess.run(["ldd", os.path.join(BIN, program)], capture_output=True, text=True, check=True).stdout
        libraries |= set(re.findall(r"=> (/\S+)", listed))
    packages = set()
    for library in libraries - {path for path in libraries if "san" in os.path.basename(path)}:
        for path in (os.path.realpath(library), os.path.realpath(library).removeprefix("/usr")):
            owner = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
            if owner.returncode == 0:
                packages.add(owner.stdout.split(":")[0])
    with open(os.path.join(ROOT, "templates", "service", "Containerfile")) as f:
        installed = set(re.findall(r"\blib[\w.+-]+", f.read()))
    base = {"libc6", "libgcc-s1", "libstdc++6"}
    assert packages - base <= installed and "libcurl4" in installed, packages - base - installed


def test_init_overwrites_nothing(hd):
    assert {t["name"] for t in hd.json("templates", "--json")} >= {"pg", "postgres.js", "drizzle", "kysely", "prisma", "mysql2"}
    os.makedirs(os.path.join(hd.cwd, "w"))
    with open(os.path.join(hd.cwd, "w", "wrangler.jsonc"), "w") as f:
        f.write("mine")
    assert hd.run("init", "pg", "w").returncode == 1
    assert os.listdir(os.path.join(hd.cwd, "w")) == ["wrangler.jsonc"]
    assert "Did you mean 'drizzle'" in hd.run("init", "drizle").stderr
