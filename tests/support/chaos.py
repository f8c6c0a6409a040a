"""A TCP relay that misbehaves on request: splits, stalls, resets in mid-message, half-closes.

    with ChaosRelay(target_port) as relay:   # connect to relay.port
        relay.split = 1                      # deliver single bytes
        relay.cut_after = 300                # reset both sides after so many bytes in all
"""

import asyncio
import socket
import struct
import threading

from .ports import free_port


class ChaosRelay:
    def __init__(self, target: int):
        self.target, self.port = target, free_port()
        self.split = 0            # > 0: at most so many bytes a write
        self.delay = 0.0          # seconds before each piece
        self.cut_after: int | None = None      # reset a connection after so many bytes from the far side
        self.half_close_after: int | None = None   # end our side towards the near side, keep reading
        self.stalled = False      # deliver nothing until cleared
        self.connections = 0
        self._writers: set = set()

    def __enter__(self):
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def reset_all(self):
        """Resets every open connection on both sides."""
        def cut():
            for writer in list(self._writers):
                _reset(writer)
        self._loop.call_soon_threadsafe(cut)

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", self.port))
        ready.set()
        self._loop.run_forever()

    async def _relay(self, reader, writer):
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        for w in (writer, far_writer):
            self._writers.add(w)
            w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(self._pump(reader, far_writer, None, None),
                                 self._pump(far_reader, writer, writer, far_writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for w in (writer, far_writer):
                self._writers.discard(w)
                w.close()

    async def _pump(self, reader, writer, near, far):
        passed = 0
        while data := await reader.read(65536):
            while self.stalled:
                await asyncio.sleep(0.01)
            size = self.split or len(data)
            for at in range(0, len(data), size):
                piece = data[at:at + size]
                if near is not None and self.cut_after is not None and passed + len(piece) > self.cut_after:
                    near.write(piece[:max(0, self.cut_after - passed)])
                    await near.drain()
                    _reset(near)
                    _reset(far)
                    return
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
                if near is not None and self.half_close_after is not None and passed > self.half_close_after:
                    near.write_eof()
                    return
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer):
    """Closes with RST, so that the peer sees a reset and not an end of file."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()
