"""What docs/client.py does beyond one call after another. Usage: client_cases.py SOCKET PID of the server."""
import os
import pathlib
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))
import client
from client import CallFailed, Connection, ConnectionLost, block, first, number, parse, path

SOCKET, SERVER = sys.argv[1], int(sys.argv[2])


def echo(connection, text):
    return first(parse(connection.unary(path("Echo"), block(1, text))), 1, b"")


def sleep(connection, millis):
    return connection.open(path("Sleep"), number(1, millis), True)


def fails(call, kind):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")


def calls_in_flight(connection):
    return first(parse(connection.unary(path("Inspect"), b"")), 2, 0)


def several_calls_share_a_connection():
    connection = Connection(SOCKET)
    slow, chat = sleep(connection, 100), connection.open(path("Chat"))
    assert echo(connection, b"quick") == b"quick"
    chat.send(block(1, b"between"))
    assert chat.next() == block(1, b"between")
    assert slow.outcome is None
    assert first(parse(slow.response()), 1, 0) == 100
    chat.finish()
    assert chat.next() is None
    connection.close()


def a_stream_that_is_left_is_cancelled():
    connection = Connection(SOCKET)
    endless = connection.open(path("Emit"), number(1, (1 << 32) - 1) + number(2, 1000), True)
    for _ in zip(range(300), endless):
        pass
    assert echo(connection, b"beside it") == b"beside it"
    endless.cancel()
    until = time.monotonic() + 30
    while calls_in_flight(connection) != 1:
        assert time.monotonic() < until, "the handler is not dropped"
    connection.close()


def a_deadline_holds_for_a_stream():
    connection = Connection(SOCKET)
    silent = connection.open(path("Chat"), timeout=0.05)
    assert fails(silent.next, CallFailed).code == 4
    assert echo(connection, b"goes on") == b"goes on"
    connection.close()


def a_request_stream_keeps_to_the_credit():
    connection = Connection(SOCKET)
    call = connection.open(path("Collect"))
    for _ in range(100):
        call.send(block(1, bytes(20_000)))
    call.finish()
    fields = parse(call.response())
    assert (first(fields, 1, 0), first(fields, 2, 0)) == (100, 2_000_000)
    connection.close()


def what_is_too_large_is_not_sent():
    connection = Connection(SOCKET)
    assert fails(lambda: echo(connection, bytes(2 << 20)), CallFailed).code == 8
    assert echo(connection, b"goes on") == b"goes on"
    connection.close()


def a_server_that_breaks_the_contract_is_told():
    payload = number(1, client.PONG)
    bad = {
        15: struct.pack("<II", len(payload), zlib.crc32(payload) ^ 1) + payload,
        3: struct.pack("<II", len(payload), zlib.crc32(payload)) + payload,
    }
    for code, greeting in bad.items():
        with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/x.sock")
            listener.listen()
            came = []

            def serve():
                stream, _ = listener.accept()
                stream.sendall(greeting)
                data = b""
                while part := stream.recv(4096):
                    data += part
                while data:
                    length = struct.unpack("<I", data[:4])[0]
                    came.append(parse(data[8:8 + length]))
                    data = data[8 + length:]

            server = threading.Thread(target=serve, daemon=True)
            server.start()
            fails(lambda: Connection(f"{folder}/x.sock"), ConnectionLost)
            server.join(10)
            assert [first(envelope, 1, 0) for envelope in came] == [client.HELLO, client.GOAWAY], came
            assert first(came[1], 7, 0) == code


def a_server_that_leaves_finishes_what_it_has():
    connection = Connection(SOCKET)
    slow = sleep(connection, 300)
    assert echo(connection, b"the call before it is seen") != b""
    os.kill(SERVER, signal.SIGTERM)
    while connection.last_call is None:
        connection.handle_next(time.monotonic() + 10)
    assert fails(lambda: echo(connection, b"late"), CallFailed).unrun
    assert first(parse(slow.response()), 1, 0) == 300
    fails(lambda: connection.handle_next(time.monotonic() + 10), ConnectionLost)


several_calls_share_a_connection()
a_stream_that_is_left_is_cancelled()
a_deadline_holds_for_a_stream()
a_request_stream_keeps_to_the_credit()
what_is_too_large_is_not_sent()
a_server_that_breaks_the_contract_is_told()
a_server_that_leaves_finishes_what_it_has()
