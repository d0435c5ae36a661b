"""Ways to read a small configuration, taking turns: the gateway, an `ssh` pipe, ncclient, and a gateway by hand.

    pip install ncclient xmltodict
    cargo bench --bench gateway -- peers python3 benches/peers/compare.py

All talk to the same cheap server. Each way has one request in flight. Prints medians of the rounds and their ratios
to the gateway.
"""

import http.client
import http.server
import json
import os
import statistics
import subprocess
import threading
import time

import xmltodict
from ncclient import manager

ROUNDS = 5
PORT = int(os.environ["FAKE_PORT"])
FILTER = '<gw xmlns="urn:example:gw"><system/></gw>'
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
QUERY = "protocol=rfc&filter=%3Cgw%20xmlns%3D%22urn%3Aexample%3Agw%22%3E%3Csystem%2F%3E%3C%2Fgw%3E"


def connect():
    return manager.connect(host="127.0.0.1", port=PORT, username="bench", password="bench", hostkey_verify=False,
                           allow_agent=False, look_for_keys=False, timeout=30)


def read(session):
    return session.get_config("running", filter=("subtree", FILTER)).data_xml


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

    def __init__(self):
        self.session = connect()

    def __call__(self):
        return read(self.session).encode()


class Pipe:
    """`ssh -s … netconf` with requests written to it; the reply stays bytes."""

    def __init__(self):
        command = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "-o", "LogLevel=ERROR", "-c", "aes128-gcm@openssh.com", "-p", str(PORT), "-s", "pipe@127.0.0.1",
                   "netconf"]
        self.ssh = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send(f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
                  "</capabilities></hello>]]>]]>")
        self.until(b"]]>]]>")

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
               f'<filter type="subtree">{FILTER}</filter></get-config></rpc>')
        self.send(f"\n#{len(rpc)}\n{rpc}\n##\n")
        return self.until(b"\n##\n")


def by_hand(kept):
    """The gateway of an afternoon: ncclient and xmltodict behind HTTP. Returns its address."""
    session = connect() if kept else None
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self):
            if session:
                with lock:
                    xml = read(session)
            else:
                with connect() as own:
                    xml = read(own)
            body = json.dumps(xmltodict.parse(xml)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def main():
    gateway = Http(os.environ["GATEWAY"], f"/v1/devices/fake/config?{QUERY}")
    ways = [
        ("ncgate, REST", gateway, 100),
        ("ssh -s netconf, a pipe", Pipe(), 100),
        ("ncclient, one session", Ncclient(), 40),
        ("by hand, one kept session", Http(by_hand(True), "/"), 40),
        ("by hand, a session per request", Http(by_hand(False), "/"), 4),
    ]
    samples = {name: [] for name, _, _ in ways}
    for lap in range(ROUNDS + 1):
        for name, way, times in ways:
            took = []
            for _ in range(times):
                begin = time.perf_counter()
                body = way()
                took.append((time.perf_counter() - begin) * 1e3)
                assert b"host-name" in body
            if lap:  # the first warms up
                samples[name].append(statistics.median(took))
    yardstick = statistics.median(samples["ncgate, REST"])
    print("\n### One small read after the other, p50 ms\n")
    print("| way | median of rounds | min | max | ratio to ncgate |\n| --- | --- | --- | --- | --- |")
    for name, rounds in samples.items():
        median = statistics.median(rounds)
        print(f"| {name} | {median:.2f} | {min(rounds):.2f} | {max(rounds):.2f} | {median / yardstick:.2f} |")


main()
