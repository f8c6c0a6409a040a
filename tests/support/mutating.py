"""Bytes that lie: mutations of what a client or an origin says, and a relay that makes them on the way.

    with MutatingRelay(pg.port, seed) as relay:
        relay.lies = 0.1                     # the share of the far side's pieces that are changed
"""

import random
import socket
import struct
import threading

_TYPES = b"RSKZCDTtnN12sGHVWEAcdvQPBXFpf"


def mutated(data: bytes, dice: random.Random) -> bytes:
    """One to three changes: bytes flipped, cut, doubled, swapped; lengths that lie; messages from nowhere."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out) + 1)
        what = dice.randrange(8)
        if what == 0 and out:
            out[min(at, len(out) - 1)] ^= 1 << dice.randrange(8)
        elif what == 1:
            del out[at:]
        elif what == 2:
            del out[at:at + dice.randint(1, 16)]
        elif what == 3:
            out[at:at] = out[:dice.randint(1, 64)]
        elif what == 4:
            out[at:at] = dice.randbytes(dice.randint(1, 32))
        elif what == 5 and len(out) >= 5:
            size = dice.choice([0, 3, 4, 5, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 30, dice.randrange(1 << 16)])
            out[1:5] = struct.pack("!I", size)
        elif what == 6 and len(out) >= 4:
            out[:3] = dice.randbytes(3)
        else:
            body = dice.randbytes(dice.randrange(24))
            out[at:at] = bytes([dice.choice(_TYPES)]) + struct.pack("!I", len(body) + 4) + body
    return bytes(out)


class MutatingRelay:
    def __init__(self, target: int, seed: int):
        self.target, self.lies, self.told = target, 0.0, 0
        self._dice = random.Random(seed)
        self._sockets: list[socket.socket] = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._listener.close()
        self.reset()

    def reset(self):
        while self._sockets:
            each = self._sockets.pop()
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _accept(self):
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self._sockets += [near, far]
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, may_lie: bool):
        try:
            while data := source.recv(65536):
                if may_lie and self._dice.random() < self.lies:
                    self.told += 1
                    data = mutated(data, self._dice)
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
