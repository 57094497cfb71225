"""A network that can be cut: a TCP proxy between the server and a broker whose second listener advertises the proxy's port."""

import asyncio
import contextlib
import threading


class Proxy:
    """Takes connections on `port` and passes them on to `upstream`, both on the loopback."""

    def __init__(self, port, upstream):
        self.port, self.upstream = port, upstream
        self.bootstrap = f"127.0.0.1:{port}"
        self.writers, self.refusing, self.delay = set(), False, 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self._do(self._listen)

    @classmethod
    def of(cls, run):
        """Before the Apache Kafka of a run directory."""
        ports = dict(line.split("=") for line in (run / "kafka" / "ports").read_text().splitlines())
        return cls(int(ports["PROXY_PORT"]), int(ports["PROXIED_PORT"]))

    # --- trouble

    @contextlib.contextmanager
    def cut(self):
        """Connections break, in the middle of a message too, and new ones are refused."""
        self._do(self._cut)
        try:
            yield
        finally:
            self.refusing = False

    @contextlib.contextmanager
    def silent(self):
        """Connections stand, new ones too, but nothing comes through."""
        self._do(self._hold)
        try:
            yield
        finally:
            self._do(self._let_go)

    @contextlib.contextmanager
    def slow(self, seconds):
        """Everything comes so much later."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0

    def close(self):
        """Gives the port back; nothing is connected any more."""
        self._do(self._cut)
        self._do(self._stop)

    # --- in the loop's thread

    def _do(self, what):
        async def run():
            await what()

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    async def _listen(self):
        self.open = asyncio.Event()
        self.open.set()
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _cut(self):
        self.refusing = True
        for writer in list(self.writers):
            writer.transport.abort()

    async def _stop(self):
        self.server.close()

    async def _hold(self):
        self.open.clear()

    async def _let_go(self):
        self.open.set()

    async def _accept(self, reader, writer):
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there, here = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, here}
        self.writers |= ends
        try:
            await asyncio.gather(self._pump(reader, here), self._pump(there, writer))
        finally:
            self.writers -= ends

    async def _pump(self, source, destination):
        """One direction of one connection."""
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.open.wait()
                destination.write(data)
                await destination.drain()
        destination.close()
