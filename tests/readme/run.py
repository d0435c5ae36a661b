#!/usr/bin/env python3
"""Runs the shell blocks of a Markdown file exactly as printed, in order.

    run.py README.md [--list]

What a fence says after its backticks decides:

    ```sh demo           a command that keeps running (a server): started in the background; the next block begins when
                         it answers http://127.0.0.1:8830/readyz. Ended at the end, or by the next such block.
    ```sh test           run with `bash -euo pipefail` in the repository's directory; status 0 is a pass
    ```sh fails          the same, but a status other than 0 is the pass (for examples of errors)
    ```python test       run with the python3 that stands first in PATH
    ```text output       what the block before printed on standard output; `...` stands for anything within a line,
                         and a line of `...` alone for any number of lines
    ```sh not-run WHY    shown only, with the reason in words

A shell block without any of these words is an error, so that none is forgotten. Other fences are left alone.

What the blocks leave in the repository's directory (a database, say) is removed at the end.

README commands name fixed ports. Where the kernel allows it, all of them run in a network namespace with a loopback of
its own, so that nothing else on the machine is in the way; else the port has to be free.
"""

import argparse
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

SHELLS = {"sh", "bash", "shell", "console", "shell-session"}
READY = "http://127.0.0.1:8830/readyz"
READY_SECONDS = 60
BLOCK_SECONDS = 120


class Block:
    """One fenced block: its language, the word after it, the line it begins at (1 = the first) and its text."""

    def __init__(self, info, line):
        words = info.split()
        self.language = words[0].lower() if words else ""
        self.role = words[1] if len(words) > 1 else ""
        self.reason = " ".join(words[2:])
        self.line = line
        self.text = ""


def blocks_of(markdown):
    """All fenced blocks. A fence is three or more backticks or tildes; the same or more of them end it."""
    found, fence, block = [], None, None
    for number, line in enumerate(markdown.split("\n"), 1):
        mark = re.match(r"^( *)(`{3,}|~{3,})(.*)$", line)
        if block is None:
            if mark:
                fence, block = mark, Block(mark[3], number)
        elif mark and mark[2].startswith(fence[2]) and not mark[3].strip():
            found.append(block)
            block = None
        else:
            # A fence inside a list is indented; so is its content.
            indent = len(fence[1])
            block.text += (line[indent:] if not line[:indent].strip() else line) + "\n"
    if block is not None:
        raise SystemExit(f"line {block.line}: the fence is never closed")
    return found


def pattern_of(expected):
    """The regular expression of an output block."""
    lines = []
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n")
    return re.compile("".join(lines) + r"\Z")


def matches(expected, actual):
    return pattern_of(expected).match(actual.rstrip("\n") + "\n") is not None


class Server:
    """A block that keeps running, in a process group of its own."""

    def __init__(self, block):
        if answers():
            raise SystemExit(f"line {block.line}: something else answers {READY} already")
        self.out = open("/tmp/ncgate-readme-server.%d.log" % os.getpid(), "w+")
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block.text], stdin=subprocess.DEVNULL, stdout=self.out,
            stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + READY_SECONDS
        while not answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise SystemExit(f"line {block.line}: does not answer {READY}; it printed:\n{self.printed()}")
            select.select([], [], [], 0.1)

    def printed(self):
        self.out.flush()
        with open(self.out.name) as f:
            return f.read()

    def stop(self):
        """TERM to the group, as Ctrl-C reaches all of it too; KILL when it takes more than 40 s."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if os.path.exists(self.out.name):
            text = self.printed()
            os.unlink(self.out.name)
            self.printed = lambda: text


def answers():
    try:
        with urllib.request.urlopen(READY, timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


def run(block):
    """Status and standard output of a block; its standard error goes to ours."""
    command = ["python3", "-c", block.text] if block.language == "python" else \
        ["bash", "-euo", "pipefail", "-c", block.text]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              timeout=BLOCK_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"line {block.line}: still running after {BLOCK_SECONDS} s")
    return done.returncode, done.stdout


def check_roles(blocks):
    """Every shell block says what is to be done with it, and every output block has one that printed it."""
    before = None
    for block in blocks:
        if block.language in SHELLS and block.role not in ("test", "fails", "demo", "not-run"):
            raise SystemExit(f"line {block.line}: a shell block needs `test`, `fails`, `demo` or `not-run WHY`")
        if block.role == "not-run" and not block.reason:
            raise SystemExit(f"line {block.line}: `not-run` needs a reason")
        if (block.language, block.role) == ("text", "output"):
            if before is None or before.role not in ("test", "fails", "demo"):
                raise SystemExit(f"line {block.line}: no block before this one was run")
        else:
            before = block


def run_all(blocks):
    server, output, ran, compared = None, "", 0, 0
    try:
        for block in blocks:
            if (block.language, block.role) == ("text", "output"):
                shown = server.printed() if output is None else output
                if not matches(block.text, shown):
                    raise SystemExit(f"line {block.line}: expected\n{block.text}\nbut it printed\n{shown}")
                compared += 1
            elif block.role == "demo":
                if server:
                    server.stop()
                server, output, ran = Server(block), None, ran + 1
                print(f"line {block.line}: answers", flush=True)
            elif block.role in ("test", "fails"):
                status, output = run(block)
                if (status == 0) != (block.role == "test"):
                    raise SystemExit(f"line {block.line}: status {status}\n{block.text}\nprinted\n{output}")
                ran += 1
                print(f"line {block.line}: ok", flush=True)
    finally:
        if server:
            server.stop()
    print(f"{ran} blocks run, {compared} outputs compared")
    if ran == 0:
        raise SystemExit("no block was run")


def own_network(arguments):
    """Starts this program again in a network namespace with a loopback, if that can be had; returns if not."""
    for unshare in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        try:
            if subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
                os.execvp(unshare[0], [*unshare, sys.executable, os.path.abspath(__file__), "--inside", *arguments])
        except OSError:
            pass
    print("note: no network namespace can be made; port 8830 must be free")


def bring_loopback_up():
    """What `ip link set lo up` does."""
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))


def main():
    parser = argparse.ArgumentParser(description="runs the shell blocks of a Markdown file")
    parser.add_argument("file")
    parser.add_argument("--list", action="store_true", help="show the blocks and run nothing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with open(options.file) as f:
        blocks = blocks_of(f.read())
    check_roles(blocks)
    if options.list:
        for block in blocks:
            print(f"{block.line:5} {block.language} {block.role} {block.reason}".rstrip())
        return
    if options.inside:
        bring_loopback_up()
    else:
        own_network(sys.argv[1:])
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    before = set(os.listdir())
    try:
        run_all(blocks)
    finally:
        for name in set(os.listdir()) - before - {"target"}:
            shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)


if __name__ == "__main__":
    main()
