"""Runs the table of shared figures: ours and its peers in turns, medians, ratios, bars.

    python3 -m bench.run [--short] [--json FILE] [ROW ...]      rows: pooled hits connects idle start cli
                                                                mysql-pooled mysql-hits mysql-connects
"""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import asdict

from .rows import ALL, Bench


def number(value) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.1f}"


def line(row) -> str:
    sign = "≤" if row.at_most else "≥"
    bar = f"{sign} {row.bar:g}" if row.bar is not None else "-"
    return (f"{row.what:58} {number(row.ours):>9} {number(row.peer):>9} {row.unit:4} "
            f"{row.ratio:8.2f} {bar:>7} {sign} {row.aim:<5g} {row.met}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--short", action="store_true", help="one short round: only to see that everything runs")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ALL)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.rows) - set(ALL)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, loop {os.environ.get('HYPERDRIVE_LOOP', 'default')}")
    print(f"{'':58} {'ours':>9} {'peer':>9} {'':4} {'ratio':>8} {'bar':>7} aim")
    rows, failed = [], []
    bench = Bench(options.short)
    try:
        for name in options.rows or ALL:
            try:
                for row in ALL[name](bench):
                    rows.append(row)
                    print(line(row), flush=True)
            except Exception:
                failed.append(name)
                traceback.print_exc()
    finally:
        bench.close()
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "short": options.short,
                       "rows": [asdict(row) | {"met": row.met} for row in rows], "failed": failed}, f, indent=1)
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
