#!/usr/bin/env python3
"""Plays the conversations of `ipc-conformance vectors` with a server. Written from conformance.md alone, as an
example for tests in other languages; `ipc-conformance check` does the same and explains more.

Usage: ipc-conformance vectors | player.py SOCKET [ID...]
"""
import json
import re
import select
import socket
import struct
import sys
import time
import zlib

KINDS = "UNSPECIFIED HELLO CALL MESSAGE REPLY END CANCEL CREDIT PING PONG GOAWAY".split()
VERDICTS = "UNSPECIFIED EXACT COMPATIBLE UNKNOWN ABSENT".split()
SECONDS = 10


class Failed(Exception):
    pass


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def unhex(text):
    return bytes.fromhex(re.sub(r"\((..)\*(\d+)\)", lambda run: run[1] * int(run[2]), text))


def parse(data):
    """The values of each field by its number."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 2: None, 5: 4}[key & 7] or varint()
            value, at = data[at:at + size], at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


class Peer:
    """One connection."""

    def __init__(self, path, crc, credit):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        self.crc, self.buffer, self.start, self.credit = crc, b"", credit, {}

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, seconds=SECONDS):
        """The next envelope but CREDIT and PING; None at the end; TimeoutError if nothing comes."""
        until = time.monotonic() + seconds
        while True:
            length, checksum = struct.unpack("<II", self.buffer[:8]) if len(self.buffer) >= 8 else (None, 0)
            if length is not None and len(self.buffer) >= 8 + length:
                payload, self.buffer = self.buffer[8:8 + length], self.buffer[8 + length:]
                if self.crc(payload) != checksum:
                    raise Failed("a checksum that does not fit")
                envelope = parse(payload)
                kind = KINDS[envelope.get(1, [0])[-1]]
                if kind == "CREDIT":
                    call = envelope[2][-1]
                    self.credit[call] = self.credit.get(call, self.start) + envelope[6][-1]
                    return "CREDIT"
                if kind != "PING":
                    return envelope
                pong = b"\x08\x09" + payload[2:]
                self.send(struct.pack("<II", len(pong), self.crc(pong)) + pong)
                continue
            if not select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.buffer += data

    def next(self, seconds=SECONDS):
        while (envelope := self.receive(seconds)) == "CREDIT":
            pass
        return envelope


def compare(expected, came, saved):
    """Raises Failed if the frame is not the one that is expected."""
    def check(right):
        if not right:
            raise Failed(f"expected {expected}, came {came}")

    check(came is not None)
    value = lambda field, default: came.get(field, [default])[-1]
    check(KINDS[value(1, 0)] == expected["kind"])
    check("call" not in expected or value(2, None) == expected["call"])
    check("code" not in expected or value(7, 0) == expected["code"])
    check("unrun" not in expected or bool(value(13, 0)) == expected["unrun"])
    reason = value(8, b"").decode()
    check(all(word in reason for word in expected.get("reason_contains", [])))
    check(not any(word in reason for word in expected.get("reason_lacks", [])))
    check("payload" not in expected or value(15, None) == unhex(expected["payload"]))
    message = parse(value(15, b"")) if "message" in expected else {}
    for field in expected.get("message", []):
        values = message.get(field["field"], [])
        if "number" in field:
            check((values or [0])[-1] == field["number"])
        elif "save" in field:
            saved[field["save"]] = (values or [0])[-1]
        elif "saved" in field:
            check((values or [0])[-1] == saved[field["saved"]["name"]] + field["saved"]["plus"])
        elif "bytes" in field:
            check((values or [b""])[-1] == unhex(field["bytes"]))
        elif "length" in field:
            check(len((values or [b""])[-1]) == field["length"])
        else:
            check(values == [unhex(each) for each in field["each"]])
    offers = [parse(offer) for offer in parse(value(10, b"")).get(6, [])]
    verdicts = {offer[1][-1].decode(): VERDICTS[offer.get(4, [0])[-1]] for offer in offers}
    for service in expected.get("services", []):
        check(verdicts.get(service["name"]) == service["verdict"])


def expect(peer, frames, saved):
    left = list(frames)
    while left:
        came = peer.next()
        call = came.get(2, [None])[-1] if came else None
        position = next((at for at, frame in enumerate(left) if frame.get("call") == call), 0)
        compare(left.pop(position), came, saved)


def call_of(frame):
    return parse(unhex(frame["bytes"])[8:])[2][-1]


def until(peer, step, saved):
    for frame in step["attempts"]:
        peer.send(unhex(frame["bytes"]))
        came = peer.next()
        try:
            return compare({**step["expect"], "call": call_of(frame)}, came, saved)
        except Failed as failed:
            why = failed
        time.sleep(step["pause_ms"] / 1000)
    raise why


def play(path, vector, limits, crc):
    peers, saved = {}, {}
    for step in vector["steps"]:
        do, peer = step["do"], peers.get(step["on"])
        if do == "connect":
            peers[step["on"]] = Peer(path, crc, limits["stream_credit"])
        elif do == "send":
            data = b"".join(unhex(frame["bytes"]) for frame in step["frames"])
            size = step.get("piece_bytes", len(data))
            for at in range(0, len(data), size):
                peer.send(data[at:at + size])
        elif do == "send_within_credit":
            for frame in step["frames"]:
                call, data = call_of(frame), unhex(frame["bytes"])
                while peer.credit.setdefault(call, peer.start) <= 0:
                    if (came := peer.receive()) != "CREDIT":
                        raise Failed(f"expected CREDIT, came {came}")
                peer.send(data)
                peer.credit[call] -= len(parse(data[8:])[15][-1]) + 32
        elif do == "expect":
            expect(peer, step["frames"], saved)
        elif do == "expect_nothing":
            try:
                raise Failed(f"expected nothing, came {peer.next(step['for_ms'] / 1000)}")
            except TimeoutError:
                pass
        elif do == "expect_close":
            expect(peer, [step["goaway"]] if "goaway" in step else [], saved)
            if (came := peer.next()) is not None:
                raise Failed(f"expected the end, came {came}")
        elif do == "until":
            until(peer, step, saved)
        elif do == "half_close":
            peer.socket.shutdown(socket.SHUT_WR)
        else:
            raise Failed(f"a step that is not known: {do}")
    for peer in peers.values():
        peer.socket.close()


def main():
    vectors = json.load(sys.stdin)
    path, only = sys.argv[1], sys.argv[2:]
    crc = {"ieee": zlib.crc32, "castagnoli": crc32c}[vectors["limits"]["crc"]]
    failed = played = 0
    for vector in vectors["conversations"]:
        if "skipped" in vector or only and vector["id"] not in only:
            continue
        played += 1
        try:
            play(path, vector, vectors["limits"], crc)
        except (Failed, TimeoutError, OSError) as error:
            failed += 1
            rule = vector["contract"]
            print(f"FAIL {vector['id']}: {type(error).__name__}: {error} (section {rule['section']}: {rule['text']})")
    print(f"{played} played, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
