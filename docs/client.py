#!/usr/bin/env python3
"""Calls Echo of the conformance service. Usage: client.py SOCKET TEXT. Written from wire.md alone."""
import hashlib
import socket
import struct
import sys
import zlib

HELLO, CALL, REPLY = 1, 2, 4
ECHO = "/daemoneye.conformance.v1.Conformance/Echo"

def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

def number(field, n):
    return varint(field << 3) + varint(n)

def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data

def parse(data):
    """The fields of a message by number; of repeated ones the last."""
    fields, at = {}, 0
    def read_varint():
        nonlocal at
        n = shift = 0
        while True:
            byte, at = data[at], at + 1
            n, shift = n | (byte & 127) << shift, shift + 7
            if byte < 128:
                return n
    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            fields[key >> 3] = read_varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or read_varint()
            fields[key >> 3], at = data[at:at + size], at + size
    return fields

def send(stream, envelope):
    stream.write(struct.pack("<II", len(envelope), zlib.crc32(envelope)) + envelope)

def receive(stream):
    length, crc = struct.unpack("<II", stream.read(8))
    payload = stream.read(length)
    assert zlib.crc32(payload) == crc, "checksum"
    return parse(payload)

connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(sys.argv[1])
stream = connection.makefile("rwb")
ordinal = hashlib.sha256(ECHO.encode()).digest()[:8]
send(stream, number(1, HELLO) + block(10, number(1, 1) + number(3, 1 << 20) + number(4, 1)))
send(stream, number(1, CALL) + number(2, 1) + varint(3 << 3 | 1) + ordinal + number(5, 1) + block(15, block(1, sys.argv[2].encode())))
stream.flush()
hello, answer = receive(stream), receive(stream)
assert hello[1] == HELLO and answer[1] == REPLY and answer[2] == 1, (hello, answer)
print(parse(answer[15])[1].decode())
