"""sysbench runs against a target of the MySQL protocol."""

import os
import re
import subprocess

from .measure import Sample, cpu_seconds

CONNECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "connect.lua")
TABLE = 100_000          # rows
HOT = 1000               # rows that are asked for where hits are measured


def argv(target, test: str, *options: str) -> list[str]:
    return ["sysbench", "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={target.port}",
            f"--mysql-user={target.user}", f"--mysql-password={target.password}", f"--mysql-db={target.database}",
            "--mysql-ssl=off", *options, test]


def fill(target):
    """Makes the table sbtest1."""
    subprocess.run([*argv(target, "oltp_point_select", f"--table-size={TABLE}"), "prepare"], check=True,
                   capture_output=True, text=True)


def sysbench(target, *, test: str = "oltp_point_select", prepared: bool = False, threads: int = 32,
             seconds: float = 3, rows: int = TABLE, options: tuple = ()) -> Sample:
    """One run; queries (of any kind) are what is counted, latencies are those of an event."""
    if test != CONNECT:
        options = (f"--table-size={rows}", *options)
    before = cpu_seconds(target.pid)
    result = subprocess.run(
        [*argv(target, test, f"--threads={threads}", f"--time={seconds}", "--rand-type=uniform", "--histogram=on",
               f"--db-ps-mode={'auto' if prepared else 'disable'}", *options), "run"], capture_output=True, text=True)
    used = cpu_seconds(target.pid) - before
    # Its clock says how long it took, which is more than what was asked where the machine is busy.
    queries = re.search(r"queries: +(\d+) +\(([\d.]+) per sec", result.stdout)
    failures = re.search(r"ignored errors: +(\d+)", result.stdout)
    if result.returncode or not queries or not failures or int(queries[1]) == 0 or int(failures[1]) > 0:
        raise RuntimeError(f"sysbench against {target.name}: {result.stdout[-1500:]} {result.stderr[-500:]}")
    times = sorted((float(ms) * 1000, int(count))
                   for ms, count in re.findall(r"^ +([\d.]+) \|\**  *(\d+)$", result.stdout, re.MULTILINE))
    return Sample(float(queries[2]), used / int(queries[1]) * 1e6, percentile(times, 0.5), percentile(times, 0.99))


def percentile(times: list[tuple[float, int]], share: float) -> float:
    """Of values with their counts, in order."""
    left = sum(count for _, count in times) * share
    for value, count in times:
        left -= count
        if left <= 0:
            return value
    return 0
