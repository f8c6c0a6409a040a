"""The model-based differential test: random legal frontend messages, sent to Postgres and through the proxy, compared.

A *sequence* is a list of steps for three clients; a step is what one client writes at once (or several at the same
moment) and how its answer is read. It is made from a seed and a kind (pool of 1, 2 or 3; whether the session keeps
things; one Sync a write or several; reads cached or not), together with just enough of a model to stay legal: how many
clients may hold an origin connection at the same time, and who owes a Sync. Everything else is fair: unknown names,
names twice, errors anywhere in a pipeline, Queries and FunctionCalls in the midst of one, Flush, row limits, COPY both
ways in both protocols, cursors, savepoints, DDL under prepared statements, large rows and values, session state. In which order the client's
messages and the origin's answers reach the proxy is chosen by the seed, too (arrivals.py).

After each sequence every client rolls back and discards all, which is compared as well. What is left out, and why,
stands in `sides.normalise` and `sides.by_policy`.

    PYTHONPATH=tests HYPERDRIVE_BIN=$PWD/build/bin python3 -m support.differential --seeds 0-200000 --jobs 2

brings its own servers, prints a line for every 500 seeds and, for a difference, the seed and the shortest sequence that
still shows it. A seed says which kind it belongs to: `--seeds N-M` of one seed runs it again.
"""

from .generator import Generator, Kind
from .rig import KINDS, Rig, blocks
from .sides import Crashed, run_range

__all__ = ["KINDS", "Crashed", "Generator", "Kind", "Rig", "blocks", "run_range"]
