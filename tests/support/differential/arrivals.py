"""In which order things arrive: a relay before the origin that holds its answers back, or passes them on in pieces, and a
client that writes message by message. What is answered must not depend on it."""

import asyncio
import random
import socket
import threading
from dataclasses import dataclass

from ..ports import free_port


@dataclass(frozen=True)
class Order:
    """`late`: seconds that each of the origin's answers is held: all that the client writes at once is there before them.
    `piece`: of so many bytes at most they come. `pause`: seconds that a client waits behind each message but the last:
    what could be answered has been."""
    name: str
    late: float = 0
    piece: int = 0
    pause: float = 0

    def __str__(self):
        return self.name


ORDERS = [Order("as it comes"), Order("answers late", late=.004), Order("message by message", pause=.0015),
          Order("answers in pieces", piece=7), Order("late, in pieces", late=.003, piece=40)]


def order_of(seed: int) -> Order:
    return random.Random(f"order {seed}").choice(ORDERS)


class Relay:
    """Before `target`, on `port`. `order` may be replaced at any time."""

    def __init__(self, target: int):
        self.target, self.port, self.order = target, free_port(), ORDERS[0]

    def __enter__(self):
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.serve, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *exc):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def serve(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.accept, "127.0.0.1", self.port))
        ready.set()
        self.loop.run_forever()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return writer.close()
        for one in (writer, far_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self.pass_on(reader, far_writer), self.hold(far_reader, writer))

    async def pass_on(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def hold(self, reader, writer):
        last = 0.0
        try:
            while data := await reader.read(1 << 16):
                await writer.drain()
                order = self.order
                due = self.loop.time() + order.late
                # Of much data only the beginning: single bytes of a long answer show nothing more.
                pieces = [data[at:at + order.piece] for at in range(0, min(len(data), 50 * order.piece), order.piece)] if order.piece else []
                for piece in [*pieces, data[sum(map(len, pieces)):]]:
                    if not piece:
                        continue
                    last = max(due, last + 1e-6)   # of what is due at the same time any may come first
                    if order.late or order.piece or last > self.loop.time():
                        self.loop.call_at(last, writer.write, piece)
                    else:
                        writer.write(piece)
        except OSError:
            pass
        self.loop.call_at(max(self.loop.time(), last + 1e-6), writer.close)
