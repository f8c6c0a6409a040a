import argparse
import multiprocessing
import re
import sys
import time

from .rig import Rig, blocks
from .sides import Crashed


def work(job: int, jobs: int, first: int, last: int, local: dict, tell):
    """Every `jobs`th block; after a difference the block goes on behind the seed that differed."""
    with Rig(**local) as rig:
        for number, (start, end, kind) in enumerate(blocks(first, last)):
            if number % jobs != job:
                continue
            begun, differing, crashed, at = time.monotonic(), 0, 0, start
            while at < end:
                try:
                    rig.run(at, end, kind)
                    break
                except Crashed as crash:
                    crashed += 1
                    tell.put(("CRASH", str(crash)))
                    at = crash.seed + 1
                except AssertionError as error:
                    found = re.match(r"seed (\d+) ", str(error))
                    differing += 1
                    tell.put(("DIFFERENCE", str(error)))
                    at = int(found[1]) + 1 if found else end
                except Exception as error:   # of the test itself, or a server that is gone
                    differing += 1
                    tell.put(("DIFFERENCE", f"seeds {at}-{end} ({kind}) ended with {error!r}\n{rig.said()}"))
                    return tell.put(("end",))
            rig.vacuum()
            alike = end - start - differing - crashed
            tell.put(("block", f"seeds {start}-{end} ({kind}): {alike} alike, {differing} not, {crashed} crashed Postgres, "
                               f"{(end - start) / (time.monotonic() - begun):.0f}/s", alike, differing))
    tell.put(("end",))


def main():
    parser = argparse.ArgumentParser(prog="python3 -m support.differential", description="Compare the proxy with Postgres.")
    parser.add_argument("--seeds", default="0-1000", help="first and the one behind the last")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fold-begin", action="store_true", help="in all kinds, not in every second one")
    args = parser.parse_args()
    first, last = map(int, args.seeds.split("-"))
    local = {"fold_begin": True} if args.fold_begin else {}
    tell = multiprocessing.Queue()
    running = [multiprocessing.Process(target=work, args=(job, args.jobs, first, last, local, tell)) for job in range(args.jobs)]
    for process in running:
        process.start()
    alike = differing = ended = 0
    while ended < len(running):
        what, *rest = tell.get()
        if what == "end":
            ended += 1
            continue
        print(what, rest[0], flush=True)
        if what == "block":
            alike, differing = alike + rest[1], differing + rest[2]
            print(f"   of {last - first}: {alike} alike, {differing} not", flush=True)
    print(f"seeds {args.seeds}: {alike} sequences alike, {differing} not")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
