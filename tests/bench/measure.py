"""pgbench runs, a process' own CPU time and memory, medians."""

import glob
import os
import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    tps: float            # queries a second
    cpu_us: float         # CPU microseconds of the measured process for each query
    p50: float = 0        # latency in microseconds, where it was asked for
    p99: float = 0


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far (its children, if it forks, too)."""
    total = 0
    for each in [pid, *children(pid)]:
        try:
            with open(f"/proc/{each}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / TICK


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(each) for each in f.read().split()]
    except OSError:
        return []


def resident_kb(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def pgbench(target, **how) -> Sample:
    """As pgbench_once; a busy machine may need all its time for the clients' logins: then once more."""
    for seconds in (how.get("seconds", 3), 5, 15):
        sample = pgbench_once(target, **(how | {"seconds": seconds}))
        if sample is not None:
            return sample
    raise RuntimeError(f"pgbench against {target.name}: no query was answered within 15 s")


def pgbench_once(target, *, mode: str = "simple", clients: int = 32, seconds: float = 3, script: str | None = None,
            latencies: bool = False, extra: tuple = ()) -> Sample | None:
    """One run against a target (servers.Target). Without `script`: one random row of pgbench_accounts by key."""
    with tempfile.TemporaryDirectory(prefix="hd-bench-") as folder:
        argv = [PGBENCH, "-n", "-M", mode, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds),
                "-h", "127.0.0.1", "-p", str(target.port), "-U", target.user, *extra]
        argv += ["-f", script] if script else ["-S"]
        if latencies:
            argv += ["-l", f"--log-prefix={folder}/log"]
        before = cpu_seconds(target.pid)
        result = subprocess.run([*argv, target.database], capture_output=True, text=True,
                                env=dict(os.environ, PGPASSWORD=target.password, PGSSLMODE="disable"))
        used = cpu_seconds(target.pid) - before
        done = re.search(r"actually processed: (\d+)", result.stdout)
        tps = re.search(r"tps = ([\d.]+) \(", result.stdout)
        if done and int(done[1]) == 0:
            return None
        if result.returncode or not done or not tps:
            raise RuntimeError(f"pgbench against {target.name}: {result.stderr[-1500:]}")
        sample = Sample(float(tps[1]), used / int(done[1]) * 1e6)
        if latencies:
            times = sorted(int(line.split()[2]) for name in glob.glob(f"{folder}/log*")
                           for line in open(name))
            sample.p50 = times[len(times) // 2]
            sample.p99 = times[int(len(times) * 0.99)]
        return sample


def in_turns(targets: list, rounds: int, run) -> dict:
    """Runs `run(target)` in turns and gives the median Sample of each target, by its name."""
    samples: dict = {}
    for _ in range(rounds):
        for target in targets:
            samples.setdefault(target.name, []).append(run(target))
    return {name: median(each) for name, each in samples.items()}


def median(samples: list[Sample]) -> Sample:
    return Sample(*(statistics.median(getattr(each, field) for each in samples)
                    for field in ("tps", "cpu_us", "p50", "p99")))
