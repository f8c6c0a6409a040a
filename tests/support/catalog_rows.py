"""The rows of a server's catalogs in the form that tests/support/catalog_file.hpp reads.

Run as a program it writes anew what the unit tests read:
    python3 -m support.catalog_rows ../build/tests/sql_probe > unit/proxy_sql/catalog.tsv
"""

import os
import subprocess
import sys

from .postgres import Postgres

TRAPS = os.path.join(os.path.dirname(__file__), "cacheability.sql")


def rows(probe: str, run) -> str:
    """`run(sql)` runs several statements in one transaction and gives their text."""
    out = subprocess.run([probe, "queries"], check=True, capture_output=True, text=True).stdout
    preparation, *queries = out.split("\0")[:-1]
    preparation = f"SET LOCAL search_path = pg_catalog; DO $do$ BEGIN PERFORM * FROM ({preparation}) row; END $do$"
    lines = []
    for number, query in enumerate(queries):
        for line in run(f"{preparation}; COPY ({query}) TO STDOUT").splitlines():
            lines.append(f"{number}\t{line}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with Postgres() as server:
        with open(TRAPS) as file:
            server.psql(file.read(), database="postgres")
        sys.stdout.write(rows(sys.argv[1], lambda sql: server.psql(sql, database="postgres")))
