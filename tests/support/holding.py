"""A TCP relay that shows what passes and holds new connections back on request.

    with HoldingRelay(pg.port) as relay:
        relay.hold_cancels = True            # CancelRequests stay here until release()
        relay.hold_new = True                # likewise, connections that come from now on
        relay.sent(b"DISCARD TEMP")          # has a near side said so?
"""

import socket
import struct
import threading

_CANCEL = struct.pack("!I", 80877102)


class HoldingRelay:
    def __init__(self, target: int):
        self.target = target
        self.hold_cancels = self.hold_new = False
        self.held = 0
        self._released = threading.Event()
        self._seen: list[bytearray] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.release()
        self._listener.close()
        for each in self._sockets:
            each.close()

    def release(self):
        self.hold_cancels = self.hold_new = False
        self._released.set()

    def sent(self, bytes_: bytes) -> bool:
        return any(bytes_ in seen for seen in self._seen)

    def _accept(self):
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket):
        self._sockets.append(near)
        seen = bytearray()
        self._seen.append(seen)
        try:
            first = near.recv(65536)
            if self.hold_new or (self.hold_cancels and first[4:8] == _CANCEL):
                self.held += 1
                self._released.wait()
            far = socket.create_connection(("127.0.0.1", self.target))
            self._sockets.append(far)
            threading.Thread(target=self._pump, args=(far, near, None), daemon=True).start()
            seen += first
            far.sendall(first)
            self._pump(near, far, seen)
        except OSError:
            near.close()

    def _pump(self, source: socket.socket, sink: socket.socket, seen: bytearray | None):
        try:
            while data := source.recv(65536):
                if seen is not None:
                    seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, sink):
                each.close()
