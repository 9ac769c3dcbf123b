"""A wire with qualities: a TCP relay that delays, limits, stalls and cuts what passes through it, for kernels
that cannot. Each direction is a queue of pieces with the moment at which they come out at the other end."""
import collections
import contextlib
import socket
import struct
import threading
import time

import peers

PIECE = 32 * 1024
# What a router holds on its way beside what is in flight on the wire itself.
ROUTER_BYTES = 256 * 1024
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST.


class Direction:
    """Bytes from one socket to another."""

    def __init__(self, relay, source, sink):
        self.relay, self.source, self.sink = relay, source, sink
        self.pieces = collections.deque()
        self.changed = threading.Condition()
        self.queued = 0
        self.free_at = 0.0  # When the wire can take the next piece.
        for run in (self.read, self.write):
            threading.Thread(target=run, daemon=True).start()

    def room(self):
        rate = self.relay.bytes_per_second
        return ROUTER_BYTES + (rate * self.relay.delay if rate else 64 * 1024 * 1024)

    def put(self, piece):
        now = time.monotonic()
        rate = self.relay.bytes_per_second
        self.free_at = max(now, self.free_at) + (len(piece) / rate if rate else 0)
        with self.changed:
            self.pieces.append((self.free_at + self.relay.delay, piece))
            self.queued += len(piece)
            self.changed.notify_all()
            while self.queued > self.room():
                self.changed.wait()

    def read(self):
        try:
            while piece := self.source.recv(PIECE):
                self.put(piece)
        except OSError:
            pass
        self.put(b"")

    def write(self):
        with contextlib.suppress(OSError):
            while True:
                with self.changed:
                    while not self.pieces:
                        self.changed.wait()
                    due, piece = self.pieces.popleft()
                    self.queued -= len(piece)
                    self.changed.notify_all()
                time.sleep(max(0, due - time.monotonic()))
                self.relay.flows.wait()
                if not piece:
                    break
                self.sink.sendall(piece)
                with self.relay.lock:
                    self.relay.passed += len(piece)
            self.sink.shutdown(socket.SHUT_WR)


class Relay:
    """Listens on its own port and passes connections on to 'target' (a port of this machine)."""

    def __init__(self, target, delay=0.0, bits_per_second=0):
        self.target, self.delay, self.bytes_per_second = target, delay, bits_per_second / 8
        self.lock = threading.Lock()
        self.flows = threading.Event()  # Clear: stalled, nothing comes out and nothing is said.
        self.flows.set()
        self.is_cut = False
        self.passed = 0
        self.sockets = []
        self.listener = socket.create_server((peers.HOST, 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.flows.set()
        self.cut()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                with self.lock:
                    is_cut = self.is_cut
                if is_cut:
                    self.reset(near)
                else:
                    threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        try:
            far = socket.create_connection((peers.HOST, self.target), timeout=10)
        except OSError:
            self.reset(near)
            return
        for one in (near, far):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.sockets = [one for one in self.sockets if one.fileno() >= 0] + [near, far]
        Direction(self, near, far)
        Direction(self, far, near)

    @staticmethod
    def reset(one):
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            one.shutdown(socket.SHUT_RDWR)  # Wakes who waits for it in another thread.
        one.close()

    def cut(self):
        """All connections end at once, new ones too, until mend()."""
        with self.lock:
            self.is_cut = True
            cut, self.sockets = self.sockets, []
        for one in cut:
            self.reset(one)

    def mend(self):
        with self.lock:
            self.is_cut = False

    def stall(self):
        """Nothing passes, and nobody is told, until flow()."""
        self.flows.clear()

    def flow(self):
        self.flows.set()
