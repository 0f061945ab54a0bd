"""What protoc says of schemas: for each folder named on standard input, a line with protoc's exit code and its words.

A folder is an import root, of which `a.proto` is compiled. Needs PyPI's grpcio-tools, which has protoc as a library.
"""

import os
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

WELL_KNOWN = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")


def judge(folder, out):
    with tempfile.TemporaryFile() as said:
        # protoc aborts on some schemas: each has a process of its own.
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            os._exit(protoc.main(["protoc", f"-I{folder}", f"-I{WELL_KNOWN}", f"-o{out}", "a.proto"]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        words = said.read().decode(errors="replace").replace(folder + "/", "")
    return f"{code}\t{' / '.join(words.splitlines())}"


with tempfile.TemporaryDirectory() as scratch:
    for line in sys.stdin:
        print(judge(line.strip(), os.path.join(scratch, "out")), flush=True)
