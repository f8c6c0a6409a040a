"""The rows of a server's catalogs in the form that tests/support/catalog_file.hpp reads.

Run as a program it writes anew what the unit tests read:
    python3 -m support.catalog_rows ../build/tests/sql_probe > unit/proxy_sql/catalog.tsv
"""

import os
import subprocess
import sys

from .postgres import Postgres

TRAPS = os.path.join(os.path.dirname(__file__), "cacheability.sql")


def queries(probe: str) -> list[str]:
    out = subprocess.run([probe, "queries"], check=True, capture_output=True, text=True).stdout
    return out.split("\0")[:-1]


def rows(probe: str, copy) -> str:
    """`copy(sql)` runs `COPY (…) TO STDOUT` and gives its text."""
    lines = []
    for number, query in enumerate(queries(probe)):
        for line in copy(f"COPY ({query}) TO STDOUT").splitlines():
            lines.append(f"{number}\t{line}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with Postgres() as server:
        with open(TRAPS) as file:
            server.psql(file.read(), database="postgres")
        sys.stdout.write(rows(sys.argv[1], lambda sql: server.psql(
            f"SET search_path = pg_catalog; {sql}", database="postgres")))
