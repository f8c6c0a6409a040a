"""A relay that keeps the order of bytes and not their times: each direction of each connection is cut into pieces of random
size and held for random times, so that what two ends have sent meets in another order each time.

    with Arrivals(target_port) as relay:   # connect to relay.port
        relay.deal(seed)                   # how connections from now on are treated; not at all before
"""

import asyncio
import random
import threading

from .ports import free_port

# Seconds that a piece may be held: mostly none, then less than a turn of anything, then longer than most answers take.
HOLDS = [[0], [0, 0, 0.002], [0, 0.0005, 0.003], [0.001]]
CUTS = [[1 << 20], [1 << 20, 3, 40], [1, 4, 7, 300], [5]]


class Arrivals:
    def __init__(self, target: int):
        self.target, self.port, self.dealt = target, free_port(), None
        self.tasks = set()   # asyncio itself does not keep them

    def __enter__(self):
        ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *exc):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        self.thread.join(5)

    def deal(self, seed):
        """None: bytes pass as they come."""
        self.dealt = None if seed is None else random.Random(seed)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", self.port))
        ready.set()
        self.loop.run_forever()

    async def _end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.loop.stop()

    async def _relay(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.close()

    async def _pump(self, reader, writer):
        rng = self.dealt and random.Random(self.dealt.random())
        holds, cuts = (rng.choice(HOLDS), rng.choice(CUTS)) if rng else ([0], [1 << 20])
        try:
            while data := await reader.read(65536):
                # Of a long one only the ends: thousands of pieces would take seconds.
                for piece in pieces(data, rng, cuts) if len(data) < 2000 else (data[:5], data[5:-3], data[-3:]):
                    if rng and (hold := rng.choice(holds)):
                        await asyncio.sleep(hold)
                    writer.write(piece)
                await writer.drain()
        finally:
            if not writer.is_closing():
                writer.write_eof()


def pieces(data: bytes, rng: random.Random | None, cuts: list[int]):
    while data:
        size = rng.choice(cuts) if rng else len(data)
        yield data[:size]
        data = data[size:]
