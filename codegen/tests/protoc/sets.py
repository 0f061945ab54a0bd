"""Descriptor sets of protoc: for each line on standard input, an import root and a file to write, a line with its exit code and words.

All schemas below the root are compiled, with what they import and with positions. Needs PyPI's grpcio-tools, which has protoc
as a library. The first argument is a second import root.
"""

import os
import pathlib
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

WELL_KNOWN = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")


def compile(root, out):
    names = sorted(str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*.proto"))
    arguments = ["protoc", f"-I{root}", f"-I{sys.argv[1]}", f"-I{WELL_KNOWN}", "--include_imports", "--include_source_info"]
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            os._exit(protoc.main([*arguments, f"-o{out}", *names]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return f"{code}\t{' / '.join(said.read().decode(errors='replace').splitlines())}"


for line in sys.stdin:
    print(compile(*line.rstrip("\n").split("\t")), flush=True)
