"""Ways to read a small configuration, taking turns: the gateway, an `ssh` pipe, ncclient, and a gateway by hand.

    pip install ncclient xmltodict
    cargo bench --bench gateway -- peers python3 benches/peers/compare.py
    cargo bench --bench gateway -- peers python3 benches/peers/compare.py netconfd

All talk to the same cheap server, or all to the same netconfd (see `tests/netconfd`). Each way has one request in
flight. Prints medians of the rounds and their ratios to the gateway.
"""

import contextlib
import dataclasses
import http.client
import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import xmltodict
from ncclient import manager

ROUNDS = 5
GATEWAY = os.environ["GATEWAY"]
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
NETCONFD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "netconfd", "netconfd.py")


@dataclasses.dataclass
class Server:
    """Who is read from: `device` is its name in the gateway, `marker` something that each reply must hold."""

    device: str
    port: int
    filter: str
    marker: bytes
    login: dict
    pipe: list  # the words of `ssh` that log in


def cheap():
    """The server that this was started with; the gateway knows it already."""
    return Server("fake", int(os.environ["FAKE_PORT"]), '<gw xmlns="urn:example:gw"><system/></gw>', b"host-name",
                  {"username": "bench", "password": "bench"}, ["pipe@127.0.0.1"])


@contextlib.contextmanager
def netconfd():
    """A netconfd with its first configuration, added to the gateway."""
    with tempfile.TemporaryDirectory(prefix="ncgate-bench-") as directory:
        process = subprocess.Popen([sys.executable, NETCONFD, "run", directory], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            words = process.stdout.readline().split()
            assert words[:1] == ["ready"], "netconfd did not start"
            said = dict(word.split("=", 1) for word in words[2:])
            port = int(words[1].rsplit(":", 1)[1])
            with open(said["key"]) as file:
                device = {"name": "netconfd", "address": "127.0.0.1", "port": port, "username": said["user"],
                          "auth": {"private_key": file.read()}, "host_key": {"policy": "tofu"}}
            connection = http.client.HTTPConnection(GATEWAY)
            connection.request("POST", "/v1/devices", json.dumps(device), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            yield Server("netconfd", port, '<greenhouse xmlns="urn:example:ncgate-lab"/>', b"south-slope",
                         {"username": said["user"], "key_filename": said["key"]},
                         ["-i", said["key"], f"{said['user']}@127.0.0.1"])
        finally:
            process.stdin.close()
            process.wait()


def connect(server):
    return manager.connect(host="127.0.0.1", port=server.port, hostkey_verify=False, allow_agent=False,
                           look_for_keys=False, timeout=30, **server.login)


def read(session, server):
    return session.get_config("running", filter=("subtree", server.filter)).data_xml


class Http:
    """One kept connection."""

    def __init__(self, address, path):
        self.connection = http.client.HTTPConnection(address)
        self.path = path

    def __call__(self):
        self.connection.request("GET", self.path)
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return body


class Ncclient:
    """One kept session; the reply stays XML."""

    def __init__(self, server):
        self.server = server
        self.session = connect(server)

    def __call__(self):
        return read(self.session, self.server).encode()


class Pipe:
    """`ssh -s … netconf` with requests written to it; the reply stays bytes."""

    def __init__(self, server):
        self.filter = server.filter
        command = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "-o", "LogLevel=ERROR", "-c", "aes128-gcm@openssh.com", "-p", str(server.port), "-s", *server.pipe,
                   "netconf"]
        self.ssh = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send(f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
                  "</capabilities></hello>]]>]]>")
        self.until(b"]]>]]>")
        # netconfd would keep a request that it reads together with our hello.
        time.sleep(0.1)

    def send(self, text):
        self.ssh.stdin.write(text.encode())
        self.ssh.stdin.flush()

    def until(self, end):
        data = b""
        while not data.endswith(end):
            piece = os.read(self.ssh.stdout.fileno(), 65536)
            assert piece, "the pipe ended"
            data += piece
        return data

    def __call__(self):
        rpc = (f'<rpc xmlns="{BASE}" message-id="1"><get-config><source><running/></source>'
               f'<filter type="subtree">{self.filter}</filter></get-config></rpc>')
        self.send(f"\n#{len(rpc)}\n{rpc}\n##\n")
        return self.until(b"\n##\n")


def by_hand(kept, server):
    """The gateway of an afternoon: ncclient and xmltodict behind HTTP. Returns its address."""
    session = connect(server) if kept else None
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self):
            if session:
                with lock:
                    xml = read(session, server)
            else:
                with connect(server) as own:
                    xml = read(own, server)
            body = json.dumps(xmltodict.parse(xml)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return f"127.0.0.1:{listener.server_port}"


def compare(server):
    query = urllib.parse.urlencode({"protocol": "rfc", "filter": server.filter})
    gateway = Http(GATEWAY, f"/v1/devices/{server.device}/config?{query}")
    ways = [
        ("ncgate, REST", gateway, 100),
        ("ssh -s netconf, a pipe", Pipe(server), 100),
        ("ncclient, one session", Ncclient(server), 40),
        ("by hand, one kept session", Http(by_hand(True, server), "/"), 40),
        ("by hand, a session per request", Http(by_hand(False, server), "/"), 4),
    ]
    samples = {name: [] for name, _, _ in ways}
    for lap in range(ROUNDS + 1):
        for name, way, times in ways:
            took = []
            for _ in range(times):
                begin = time.perf_counter()
                body = way()
                took.append((time.perf_counter() - begin) * 1e3)
                assert server.marker in body, body
            if lap:  # the first warms up
                samples[name].append(statistics.median(took))
    yardstick = statistics.median(samples["ncgate, REST"])
    print(f"\n### One small read after the other from {server.device}, p50 ms\n")
    print("| way | median of rounds | min | max | ratio to ncgate |\n| --- | --- | --- | --- | --- |")
    for name, rounds in samples.items():
        median = statistics.median(rounds)
        print(f"| {name} | {median:.2f} | {min(rounds):.2f} | {max(rounds):.2f} | {median / yardstick:.2f} |")


if sys.argv[1:] == ["netconfd"]:
    with netconfd() as real:
        compare(real)
else:
    compare(cheap())
