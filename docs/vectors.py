#!/usr/bin/env python3
"""Prints the test vectors of wire.md. Written from the contract; shares no code with the runtime."""

import hashlib
import struct
import zlib

CONFORMANCE = "daemoneye.conformance.v1.Conformance"
METHODS = ["Echo", "Sleep", "Fail", "Count", "Emit", "Collect", "Chat", "Inspect"]


def crc32c(data):
    """CRC-32C bit by bit: reflected polynomial 0x82F63B78."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


VARIANTS = {"ieee": zlib.crc32, "castagnoli": crc32c}


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def block(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def ordinal(method):
    return struct.unpack("<Q", hashlib.sha256(f"/{CONFORMANCE}/{method}".encode()).digest()[:8])[0]


def frame(payload, variant="ieee"):
    return struct.pack("<II", len(payload), VARIANTS[variant](payload)) + payload


def hello(*services):
    return number(1, 1) + block(2, b"vectors/1") + number(3, 1 << 20) + number(4, 256) + number(5, 1 << 18) + b"".join(
        block(6, service) for service in services)


SERVICE = (block(1, CONFORMANCE.encode()) + number(2, 3) + fixed64(3, 0x1122334455667788)
           + block(5, struct.pack("<QQ", 1, 2)) + number(6, 1))
ECHO = block(1, b"hello")
PING = number(1, 8) + block(15, b"12345678")

ENVELOPES = {
    "hello": number(1, 1) + block(10, hello()),
    "hello-with-service": number(1, 1) + block(10, hello(SERVICE)),
    "call-echo": number(1, 2) + number(2, 1) + fixed64(3, ordinal("Echo")) + number(4, 1_000_000) + number(5, 1)
    + block(15, ECHO),
    "call-with-metadata": number(1, 2) + number(2, 2) + fixed64(3, ordinal("Inspect")) + number(5, 1)
    + block(9, block(1, b"trace") + block(2, b"\x00\xff")) + block(15, b""),
    "call-open-stream": number(1, 2) + number(2, 3) + fixed64(3, ordinal("Collect")),
    "message": number(1, 3) + number(2, 3) + block(15, block(1, b"abc")),
    "message-empty": number(1, 3) + number(2, 3) + block(15, b""),
    "message-half-close": number(1, 3) + number(2, 3) + number(5, 1),
    "reply": number(1, 4) + number(2, 1) + block(15, ECHO),
    "end-ok": number(1, 5) + number(2, 3),
    "end-refused": number(1, 5) + number(2, 300) + number(7, 8) + block(8, b"busy") + number(13, 1),
    "cancel": number(1, 6) + number(2, 3),
    "credit": number(1, 7) + number(2, 3) + number(6, 4096),
    "ping": PING,
    "pong": number(1, 9) + block(15, b"12345678"),
    "goaway-drain": number(1, 10) + number(11, 7),
    "goaway-fault": number(1, 10) + number(7, 15) + block(8, b"checksum"),
}

REFUSED = {
    "InvalidLength": struct.pack("<II", 0, 0),
    "TooLarge": struct.pack("<II", (1 << 20) + 1, 0),
    "CrcMismatch": struct.pack("<II", len(PING), zlib.crc32(PING) ^ 1) + PING,
    "CrcMismatch/castagnoli": frame(PING, "castagnoli"),
    "Decode": frame(b"\xff"),
}


def main():
    for variant, function in VARIANTS.items():
        print(f"crc {variant} {function(b'123456789'):08x}")
    for method in METHODS:
        print(f"ordinal /{CONFORMANCE}/{method} {ordinal(method):016x}")
    for name, envelope in ENVELOPES.items():
        print(f"frame {name} ieee {frame(envelope).hex()}")
    print(f"frame ping castagnoli {frame(PING, 'castagnoli').hex()}")
    for error, data in REFUSED.items():
        print(f"refused {error} {data.hex()}")


main()
