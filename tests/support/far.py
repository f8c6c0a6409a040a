"""A relay that delivers every byte late, as a network between here and the database would."""

import asyncio
import threading

from .ports import free_port


class FarAway:
    """Listens on `port`, relays to `target` and delays each byte by `one_way_ms` in each direction.

    The TCP handshake with the relay itself costs nothing: add one round trip for a connection over a real network.
    """

    def __init__(self, target: int, one_way_ms: float):
        self.port, self.target, self.one_way = free_port(), target, one_way_ms / 1000
        self.connections = 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", self.port))
        ready.set()
        self.loop.run_forever()

    async def _relay(self, reader, writer):
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._late(reader, far_writer), self._late(far_reader, writer))

    async def _late(self, reader, writer):
        try:
            while data := await reader.read(65536):
                self.loop.call_later(self.one_way, writer.write, data)
        except OSError:
            pass
        self.loop.call_later(self.one_way, writer.close)
