"""How much processor time and memory the schema tool takes on large trees, beside buf in the same run.

    python3 benches/schemas_speed/speed.py

builds the command line in release mode, fetches buf by npm if target/buf has none, writes trees of 125, 250 and 500 files with
26 messages each, lints them and compares them with a copy in which one field is gone, and prints the table. Options:
--rounds N (3), --files A,B,C, --keep FOLDER (leaves the trees there), --cli PROGRAM, --buf PROGRAM.
"""

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MESSAGES = 26
SCALARS = ["string", "int64", "uint32", "bool", "bytes", "double"]


def schema(number):
    """One file: a service with its requests and responses, records with fields of earlier files' types, two enums."""
    package = f"area{number % 20}.part{number}.v1"
    lines = ['syntax = "proto3";', "", f"// Part {number} of a large system.", f"package {package};", ""]
    # Two imports each, so that there are few ways through them: buf walks each one.
    imported = sorted({number // 2, number // 3} - {number})
    lines += [f'import "{path(other)}";' for other in imported] + ['import "google/protobuf/timestamp.proto";', ""]
    methods = [f"Get{number}", f"List{number}", f"Watch{number}"]
    lines += [f"// Serves part {number}.", f"service Part{number}Service {{"]
    for method in methods:
        lines += [f"  // Calls {method}.", f"  rpc {method}({method}Request) returns ({method}Response);"]
    lines += ["}", ""]
    names = [f"{method}{side}" for method in methods for side in ("Request", "Response")]
    names += [f"Record{number}x{at}" for at in range(MESSAGES - len(names))]
    for at, name in enumerate(names):
        lines += [f"// {name} is what is kept of thing {at}, in the units that its fields say.", f"message {name} {{"]
        for field in range(1, 8):
            lines += [f"  // Field {field}, as it was when it was last seen.", f"  {SCALARS[(at + field) % 6]} field_{field} = {field};"]
        lines += ["  // When.", "  google.protobuf.Timestamp seen_at = 8;", "  // By kind.", f"  map<string, Kind{number}> kinds = 9;"]
        for tag, other in enumerate(imported, 10):
            record = f"area{other % 20}.part{other}.v1.Record{other}x{at % 5}"
            lines += ["  // Others.", f"  repeated {record} others_{tag} = {tag};"]
        lines += ["  // One of two.", "  oneof either {", "    // This.", "    string this = 20;", "    // Or that.", "    int64 that = 21;", "  }", "}", ""]
    lines += [f"// The kinds of part {number}.", f"enum Kind{number} {{"]
    for value, suffix in enumerate(["UNSPECIFIED", "FIRST", "SECOND", "THIRD"]):
        lines += [f"  // {suffix.title()}.", f"  KIND{number}_{suffix} = {value};"]
    return "\n".join(lines + ["}", ""])


def path(number):
    return f"area{number % 20}/part{number}/v1/part{number}.proto"


def tree(folder, files):
    for number in range(files):
        file = folder / path(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(schema(number))
    (folder / "buf.yaml").write_text("version: v2\nlint:\n  use: [STANDARD, COMMENTS]\nbreaking:\n  use: [FILE]\n")


def run(command, folder, wanted):
    """Processor seconds, highest resident memory in MiB, and wall seconds."""
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != wanted:
        sys.exit(f"{command} in {folder} ended with {code}, not {wanted}:\n{output.decode()[:2000]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - start


def programs(arguments):
    cli, buf = arguments.cli, arguments.buf
    if not cli:
        subprocess.run(["cargo", "build", "-q", "--release", "-p", "daemoneye-cli"], cwd=ROOT, check=True)
        cli = ROOT / "target/release/daemoneye-cli"
    if not buf:
        system = {"x86_64": "x64", "aarch64": "aarch64"}[platform.machine()]
        buf = ROOT / f"target/buf/node_modules/@bufbuild/buf-linux-{system}/bin/buf"
        if not buf.exists():
            npm = ["npm", "install", "--silent", "--prefix", str(ROOT / "target/buf"), "@bufbuild/buf@1.75.0"]
            subprocess.run(npm, check=True)
    return str(pathlib.Path(cli).resolve()), str(pathlib.Path(buf).resolve())


def measure(arguments, scratch):
    cli, buf = programs(arguments)
    rows = []
    for files in map(int, arguments.files.split(",")):
        new, old = scratch / f"{files}/new", scratch / f"{files}/old"
        tree(new, files)
        tree(old, files)
        gone = new / path(files // 2)
        gone.write_text(gone.read_text().replace("  string this = 20;", "", 1))
        jobs = {
            "lint": ([cli, "schema", "lint", "."], [buf, "lint"], 0),
            "check": ([cli, "schema", "check", ".", "--against", str(old), "--use", "FILE"], [buf, "breaking", "--against", str(old)], 100),
        }
        for name, (ours, theirs, wanted) in jobs.items():
            samples = [(run(ours, new, wanted), run(theirs, new, wanted)) for _ in range(arguments.rounds)]
            rows.append((name, files, [statistics.median(column) for column in zip(*(one + two for one, two in samples))]))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", default="125,250,500")
    parser.add_argument("--keep")
    parser.add_argument("--cli")
    parser.add_argument("--buf")
    arguments = parser.parse_args()
    scratch = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="schemas-speed-")).resolve()
    try:
        print("| | files | messages | CPU s | buf, CPU s | ratio | MiB | buf, MiB | ratio |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name, files, (cpu, memory, _, buf_cpu, buf_memory, _) in measure(arguments, scratch):
            print(
                f"| {name} | {files} | {files * MESSAGES} | {cpu:.2f} | {buf_cpu:.2f} | {buf_cpu / cpu:.1f}x less "
                f"| {memory:.0f} | {buf_memory:.0f} | {buf_memory / memory:.1f}x less |"
            )
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
