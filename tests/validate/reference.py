"""What protovalidate itself finds wrong with messages: the reference for our rules.

Reads JSON from standard input: {"descriptors": hex of a FileDescriptorSet, "cases": [{"message": full name,
"bytes": hex}]}. Writes, per case, the violations as hex of buf.validate.Violation messages.
Needs the package protovalidate (2.1).
"""

import json
import sys

import protovalidate
from protobuf import Registry
from protobuf._file_registry import add_file
from protobuf.wkt.google.protobuf.descriptor_pb import FileDescriptorSet


def main():
    given = json.load(sys.stdin)
    registry = Registry()
    files = FileDescriptorSet.from_binary(bytes.fromhex(given["descriptors"]))
    for file in files.file:
        add_file(registry, file, None)
    validator = protovalidate.Validator()
    found = []
    for case in given["cases"]:
        message = registry.message(case["message"]).type.from_binary(bytes.fromhex(case["bytes"]))
        try:
            violations = validator.collect_violations(message)
            found.append([violation.proto.to_binary().hex() for violation in violations])
        except protovalidate.EvaluationError as error:
            found.append(str(error))
    json.dump(found, sys.stdout)


main()
