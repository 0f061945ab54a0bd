#!/usr/bin/env python3
"""Checks the test vectors of wire.md. Written from the contract; shares no code with the runtime.

Usage: ipc-conformance vectors | vectors.py
"""
import hashlib
import json
import re
import struct
import sys
import zlib

KINDS = "UNSPECIFIED HELLO CALL MESSAGE REPLY END CANCEL CREDIT PING PONG GOAWAY".split()
VERDICTS = "UNSPECIFIED EXACT COMPATIBLE UNKNOWN ABSENT".split()


def crc32c(data):
    """CRC-32C bit by bit: reflected polynomial 0x82F63B78."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


CHECKSUMS = {"ieee": zlib.crc32, "castagnoli": crc32c}


def unhex(text):
    """Hexadecimal digits, in which (5a*1000) stands for 1000 times the byte 5a."""
    return bytes.fromhex(re.sub(r"\((..)\*(\d+)\)", lambda run: run[1] * int(run[2]), text))


def parse(data):
    """The fields of a message, in order: number, wire type, value."""
    fields, at = [], 0

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
        field, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value = varint()
        elif wire_type in (1, 2):
            size = 8 if wire_type == 1 else varint()
            if at + size > len(data):
                raise IndexError("a field beyond the end")
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {wire_type}")
        fields.append((field, wire_type, value))
    return fields


def text(value):
    return value.decode("utf-8")


def fixed64(value):
    return f"{struct.unpack('<Q', value)[0]:016x}"


def metadata(data):
    pair = {field: value for field, _, value in parse(data)}
    return {"key": text(pair.get(1, b"")), "value": pair.get(2, b"").hex()}


def service(data):
    named = {"name": "", "revision": 0, "fingerprint": "0" * 16, "compatible": [], "require": False}
    for field, _, value in parse(data):
        if field == 5:
            named["compatible"] += [fixed64(value[at:at + 8]) for at in range(0, len(value), 8)]
        else:
            name, read = {1: ("name", text), 2: ("revision", int), 3: ("fingerprint", fixed64),
                          6: ("require", bool)}[field]
            named[name] = read(value)
    return named


def hello(data):
    said = {"protocol": 0, "agent": "", "max_frame_bytes": 0, "max_calls": 0, "stream_credit": 0, "services": []}
    for field, _, value in parse(data):
        name = list(said)[field - 1]
        if name == "services":
            said["services"].append(service(value))
        else:
            said[name] = text(value) if name == "agent" else value
    return said


READ = {1: ("kind", lambda kind: KINDS[kind] if kind < len(KINDS) else kind), 2: ("call", int), 3: ("method", fixed64), 4: ("timeout_us", int),
        5: ("last", bool), 6: ("credit", int), 7: ("code", int), 8: ("reason", text), 10: ("hello", hello),
        11: ("last_call", int), 12: ("details", bytes.hex), 13: ("unrun", bool), 15: ("payload", bytes.hex)}


def envelope(data):
    said = {}
    for field, _, value in parse(data):
        if field == 9:
            said.setdefault("metadata", []).append(metadata(value))
        elif field in READ:
            name, read = READ[field]
            said[name] = read(value)
    return said


def receive(data, crc, limit):
    """What a receiver makes of the first frame on a connection: an envelope, or an error and the variant that fits."""
    length, checksum = struct.unpack("<II", data[:8])
    if length == 0:
        return "InvalidLength", None
    if length > limit:
        return "TooLarge", None
    payload = data[8:8 + length]
    if CHECKSUMS[crc](payload) != checksum:
        other = next(variant for variant in CHECKSUMS if variant != crc)
        return "CrcMismatch", other if CHECKSUMS[other](payload) == checksum else None
    try:
        return envelope(payload), None
    except (IndexError, ValueError):
        return "Decode", None


def check_steps(vector, crc):
    """What is sent as a good frame is one of the kind that it is said to be."""
    for step in vector["steps"]:
        frames = step.get("attempts", step.get("frames", []))
        for sent in frames if step["do"] != "expect" else []:
            data = unhex(sent["bytes"])
            said, _ = receive(data, crc, len(data))
            if isinstance(said, dict) and said.get("kind") in KINDS[1:]:
                assert sent["means"].startswith(said["kind"]), sent
        for expected in frames if step["do"] == "expect" else []:
            assert expected["kind"] in KINDS, expected
            assert all(each["verdict"] in VERDICTS for each in expected.get("services", [])), expected


def main():
    vectors = json.load(sys.stdin)
    assert vectors["format"] == 1
    for each in vectors["checksums"]:
        assert f"{CHECKSUMS[each['variant']](unhex(each['of'])):08x}" == each["crc32"], each
    for each in vectors["ordinals"]:
        assert fixed64(hashlib.sha256(each["path"].encode()).digest()[:8]) == each["ordinal"], each
    for each in vectors["frames"]:
        said, _ = receive(unhex(each["bytes"]), each["crc"], 1 << 20)
        assert said == each["envelope"], (each["id"], said)
    for each in vectors["refused"]:
        error = receive(unhex(each["bytes"]), each["crc"], each["max_frame_bytes"])
        assert error == (each["error"], each.get("other_variant")), (each, error)
    for vector in vectors["conversations"]:
        check_steps(vector, vectors["limits"]["crc"])
    codec = sum(len(vectors[key]) for key in ("checksums", "ordinals", "frames", "refused"))
    print(f"{codec} vectors of the codec and {len(vectors['conversations'])} conversations are good")


main()
