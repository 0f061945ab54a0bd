#!/usr/bin/env python3
"""A client of the wire contract in Python's standard library. Written from wire.md alone.

Usage: client.py SOCKET [--timeout SECONDS] METHOD [ARGUMENT...]

    echo TEXT   sleep MILLIS   fail CODE TEXT   panic   count NUMBER   inspect     one request, one response
    emit COUNT SIZE                                                                one request, many responses
    collect TEXT...                                                                many requests, one response
    chat TEXT...                                                                   many of both

Prints one line for each response. Exit code 1 and a line on standard error if the call fails.
"""
import argparse
import collections
import hashlib
import os
import socket
import struct
import sys
import time
import zlib

HELLO, CALL, MESSAGE, REPLY, END, CANCEL, CREDIT, PING, PONG, GOAWAY = range(1, 11)
INVALID_ARGUMENT, DATA_LOSS = 3, 15
MAX_FRAME_BYTES = 1 << 20  # of the frames that this side takes
STREAM_CREDIT = 64 << 10   # what the server may send on a stream before this side has taken any
MESSAGE_OVERHEAD = 32      # what a message costs beside its payload


# Protobuf: as much of it as envelopes and the conformance service need.

def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed64(field, value):
    return varint(field << 3 | 1) + value


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def parse(data):
    """The values of each field by its number."""
    fields, at = collections.defaultdict(list), 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        else:
            size = {1: 8, 2: None, 5: 4}[key & 7] or read_varint()
            if at + size > len(data):
                raise IndexError("a field beyond the end")
            value, at = data[at:at + size], at + size
        fields[key >> 3].append(value)
    return fields


def first(fields, field, default):
    return fields[field][-1] if fields[field] else default


# Connections and calls.

class CallFailed(Exception):
    """The server ended the call, or its time is over. `unrun`: no handler saw it, so it may be made again."""

    def __init__(self, code, reason, unrun=False):
        super().__init__(f"code {code}: {reason}" + (" (not run)" if unrun else ""))
        self.code, self.unrun = code, unrun


class ConnectionLost(Exception):
    """The connection is over. Whether calls in flight have run is not known."""


class Connection:
    """One connection, for any number of calls; one thread."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.check_server()
        self.buffer, self.calls, self.last_id = bytearray(), {}, 0
        self.last_call = None   # of the server's GOAWAY: it has begun to shut down
        self.server = None
        hello = number(1, 1) + block(2, b"client.py/1") + number(3, MAX_FRAME_BYTES) + number(4, 1)
        self.send(number(1, HELLO) + block(10, hello + number(5, STREAM_CREDIT)))
        # CALLs might follow at once; this client waits, to know the server's limits.
        while self.server is None:
            self.handle_next(time.monotonic() + 5)

    def check_server(self):
        """The kernel says who the server is; only this user's own, or root's, is trusted with requests."""
        if hasattr(socket, "SO_PEERCRED"):
            _, uid, _ = struct.unpack("3i", self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid not in (0, os.geteuid()):
                raise ConnectionLost(f"the server belongs to user {uid}")

    def send(self, envelope):
        try:
            self.socket.settimeout(10)
            self.socket.sendall(struct.pack("<II", len(envelope), zlib.crc32(envelope)) + envelope)
        except (BrokenPipeError, ConnectionResetError):
            pass  # why is what comes next

    def fault(self, code, reason):
        """The server broke the contract: it is told, and nothing that follows is read."""
        self.send(number(1, GOAWAY) + number(7, code) + block(8, reason.encode()))
        self.socket.close()
        raise ConnectionLost(reason)

    def fill(self, size, deadline):
        """Reads until that much is there. What came stays when time runs out."""
        while len(self.buffer) < size:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(64 << 10)
            except ConnectionResetError:
                data = b""
            if not data:
                raise ConnectionLost("the server closed the connection")
            self.buffer += data

    def receive(self, deadline):
        """The next envelope."""
        self.fill(8, deadline)
        length, checksum = struct.unpack("<II", self.buffer[:8])
        if not 0 < length <= MAX_FRAME_BYTES:
            self.fault(INVALID_ARGUMENT, f"a frame of length {length}")
        self.fill(8 + length, deadline)
        payload = bytes(self.buffer[8:8 + length])
        del self.buffer[:8 + length]
        if zlib.crc32(payload) != checksum:
            self.fault(DATA_LOSS, "the checksum does not fit")
        try:
            return parse(payload)
        except (IndexError, KeyError):
            self.fault(INVALID_ARGUMENT, "a payload that is not an Envelope")

    def handle_next(self, deadline):
        """Takes one envelope and hands it to its call. TimeoutError at the deadline, a time.monotonic()."""
        envelope = self.receive(deadline)
        kind, call = first(envelope, 1, 0), self.calls.get(first(envelope, 2, None))
        if self.server is None and kind not in (HELLO, GOAWAY):
            self.fault(INVALID_ARGUMENT, "the server's first frame is not HELLO")
        if kind == HELLO:
            hello = parse(first(envelope, 10, b""))
            if self.server is not None or first(hello, 1, 0) != 1:
                self.fault(INVALID_ARGUMENT, "a second HELLO, or another version")
            self.server = {"max_frame_bytes": first(hello, 3, 0), "stream_credit": first(hello, 5, 0)}
        elif kind == PING:
            self.send(number(1, PONG) + block(15, first(envelope, 15, b"")))
        elif kind == GOAWAY and first(envelope, 7, 0):
            reason = first(envelope, 8, b"").decode(errors="replace")
            raise ConnectionLost(f"the server says code {first(envelope, 7, 0)}: {reason}")
        elif kind == GOAWAY:
            # It finishes what it has. Later calls were not run.
            self.last_call = first(envelope, 11, 0)
            for later in [call for number, call in self.calls.items() if number > self.last_call]:
                later.end(CallFailed(14, "the server is shutting down", unrun=True))
        elif call and kind == CREDIT:
            call.credit += first(envelope, 6, 0)
        elif call and kind in (MESSAGE, REPLY, END):
            call.handle(kind, envelope)
        # All else is a race, or of the future.

    def open(self, path, request=None, last=False, timeout=None):
        """Opens a call. `request` is the first message; `last` says that no other follows."""
        if self.last_call is not None:
            raise CallFailed(14, "the server is shutting down", unrun=True)
        self.last_id += 1
        return Call(self, self.last_id, path, request, last, timeout)

    def unary(self, path, request, timeout=30):
        return self.open(path, request, True, timeout).response()

    def close(self):
        """Leaves in order: tells the server, and waits until it has closed."""
        self.send(number(1, GOAWAY))
        try:
            while True:
                self.handle_next(time.monotonic() + 5)
        except (ConnectionLost, TimeoutError):
            self.socket.close()


class Call:
    """One call. Iterate over it for the responses; leave it early and it is cancelled."""

    def __init__(self, connection, id, path, request, last, timeout):
        self.connection, self.id = connection, id
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.responses, self.outcome = collections.deque(), None
        self.credit = connection.server["stream_credit"]   # what this side may send
        self.taken = 0                                     # what is to be granted to the server
        ordinal = hashlib.sha256(path.encode()).digest()[:8]
        envelope = number(1, CALL) + number(2, id) + fixed64(3, ordinal)
        if timeout is not None:
            envelope += number(4, max(0, int(timeout * 1_000_000)))
        envelope += number(5, 1) if last else b""
        # No message is something else than an empty one.
        self.write(envelope if request is None else envelope + block(15, request))
        connection.calls[id] = self

    def write(self, envelope):
        limit = self.connection.server["max_frame_bytes"]
        if len(envelope) > limit:
            self.cancel()
            raise CallFailed(8, f"{len(envelope)} bytes, and the server takes {limit}")
        self.connection.send(envelope)

    def handle(self, kind, envelope):
        if kind in (MESSAGE, REPLY):
            self.responses.append(first(envelope, 15, b""))
        if kind == REPLY:
            self.end(StopIteration())
        elif kind == END:
            code, reason = first(envelope, 7, 0), first(envelope, 8, b"").decode(errors="replace")
            self.end(CallFailed(code, reason, bool(first(envelope, 13, 0))) if code else StopIteration())

    def end(self, outcome):
        self.outcome = outcome
        self.connection.calls.pop(self.id, None)

    def wait(self):
        """Takes what comes next on the connection, for whatever call it is."""
        try:
            self.connection.handle_next(self.deadline)
        except TimeoutError:
            self.cancel()
            raise CallFailed(4, "the deadline passed") from None

    def cancel(self):
        """The caller has lost interest. There is no answer to this."""
        if self.outcome is None and self.id in self.connection.calls:
            self.connection.send(number(1, CANCEL) + number(2, self.id))
        self.end(CallFailed(1, "cancelled"))

    def send(self, message):
        """One more request, as soon as the server's credit allows it."""
        while self.credit <= 0 and self.outcome is None:
            self.wait()
        if self.outcome is None:
            self.write(number(1, MESSAGE) + number(2, self.id) + block(15, message))
            self.credit -= len(message) + MESSAGE_OVERHEAD

    def finish(self):
        """No more requests."""
        if self.outcome is None:
            self.write(number(1, MESSAGE) + number(2, self.id) + number(5, 1))

    def next(self):
        """The next response; None after the last."""
        while not self.responses and self.outcome is None:
            self.wait()
        if not self.responses:
            if isinstance(self.outcome, CallFailed):
                raise self.outcome
            return None
        message = self.responses.popleft()
        self.taken += len(message) + MESSAGE_OVERHEAD
        if self.taken >= STREAM_CREDIT // 2 and self.outcome is None:
            self.connection.send(number(1, CREDIT) + number(2, self.id) + number(6, self.taken))
            self.taken = 0
        return message

    def __iter__(self):
        try:
            while (message := self.next()) is not None:
                yield message
        finally:
            if self.outcome is None:
                self.cancel()

    def response(self):
        """The one response of a call that does not stream them."""
        message = self.next()
        if message is None:
            raise CallFailed(13, "the call ended without a response")
        return message


# The conformance service.

def path(method):
    return f"/daemoneye.conformance.v1.Conformance/{method}"


UNARY = {
    "echo": ("Echo", lambda text: block(1, text.encode()), lambda reply: first(reply, 1, b"").decode()),
    "sleep": ("Sleep", lambda millis: number(1, int(millis)), lambda reply: first(reply, 1, 0)),
    "fail": ("Fail", lambda code, text: number(1, int(code)) + block(2, text.encode()), None),
    "panic": ("Fail", lambda: number(3, 1), None),
    "count": ("Count", lambda add: number(1, int(add)), lambda reply: first(reply, 1, 0)),
    "inspect": ("Inspect", lambda: b"", lambda reply: " ".join(str(first(reply, field, 0)) for field in range(1, 6))),
}


def run(connection, method, arguments, timeout):
    """The responses as text, one by one."""
    if method in UNARY:
        name, request, show = UNARY[method]
        yield show(parse(connection.unary(path(name), request(*arguments), timeout)))
    elif method == "emit":
        count, size = arguments
        request = number(1, int(count)) + number(2, int(size))
        for message in connection.open(path("Emit"), request, True, timeout):
            fields = parse(message)
            yield f"{first(fields, 1, 0)} {len(first(fields, 2, b''))}"
    elif method == "collect":
        call = connection.open(path("Collect"), timeout=timeout)
        for text in arguments:
            call.send(block(1, text.encode()))
        call.finish()
        fields = parse(call.response())
        yield f"{first(fields, 1, 0)} {first(fields, 2, 0)}"
    else:
        call = connection.open(path("Chat"), timeout=timeout)
        for text in arguments:
            call.send(block(1, text.encode()))
            yield first(parse(call.next() or b""), 1, b"").decode()
        call.finish()
        for extra in call:
            raise CallFailed(13, f"a message too many: {extra}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("socket")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("method", choices=[*UNARY, "emit", "collect", "chat"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    try:
        connection = Connection(options.socket)
        for line in run(connection, options.method, options.arguments, options.timeout):
            print(line, flush=True)
        connection.close()
    except (CallFailed, ConnectionLost, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
