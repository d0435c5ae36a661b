#!/usr/bin/env python3
"""Confirmed commits against a real server: whatever the gateway says of one, ncclient reads what is running.

    netconfd_confirm.py target/debug/ncgate

Starts netconfd (tests/netconfd) once with `:confirmed-commit:1.1`, where the gateway commits with a `persist` token, and
once with 1.0 alone, where the commit depends on its session. Both at once, each with a gateway of its own, which is
restarted between. Each: confirm, cancel, an edit session's commit, extend, timeout, a dropped connection, kills, a gateway that
ends or dies; with a token also a restart of the server, without one also a late confirm.

netconfd undoes nothing while anybody sends it something every second: what waits for its timer asks the gateway alone,
which answers from its records, and reads running once at the end.

Prints "skipped: ..." and ends with status 0 where the server cannot be had.
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from ncclient.transport.errors import TransportError

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netconfd"))
from netconfd import free_port  # noqa: E402
from netconfd_compare import HERE, SECONDS, Gateway, compare, differences, netconfd, requests  # noqa: E402
from netconfd_write import COMMIT_BEFORE_VALIDATE, Direct, connect, greenhouse, settings  # noqa: E402

# Asked for where nobody waits for the end of it.
LONG = 120
# The least with which a commit without a token can be confirmed: the gateway keeps two seconds clear of the end.
SHORT = 5
# The server's timer fires in the first idle second after its time.
IDLE = 1.6
MOVING = ("confirming", "cancelling", "unknown")


class Relay:
    """A way to the server on which connections can be cut."""

    def __init__(self, address):
        host, port = address.split(":")
        self.server = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.server)
                self.open |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        self.cut({source, target})

    def cut(self, sockets=None):
        """Ends all connections, or these."""
        for one in list(self.open if sockets is None else sockets):
            self.open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Process:
    """A gateway of our own: its records outlive it."""

    def __init__(self, binary, directory):
        self.binary, self.directory, self.process = binary, directory, None
        self.listen = f"127.0.0.1:{free_port()}"
        self.gateway = Gateway(f"http://{self.listen}")

    def start(self):
        command = [self.binary, "serve", "--listen", self.listen, "--database", f"sqlite://{self.directory}/ncgate.db",
                   "--device-networks", "127.0.0.0/8", "--least-confirm-seconds", "1", "--log", "error"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.gateway.http = requests.Session()
        end = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if self.gateway.http.get(f"{self.gateway.url}/readyz", timeout=SECONDS).ok:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"FAILED {' '.join(command)} does not answer (status {self.process.poll()})")
            time.sleep(0.05)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("FAILED the gateway does not end") from None


class Lab:
    """One server as a device of one gateway, and ncclient beside it."""

    def __init__(self, name, process, path, server, relay, direct, persists):
        self.name, self.process, self.gateway, self.path = name, process, process.gateway, path
        self.server, self.relay, self.direct, self.persists = server, relay, direct, persists
        self.altitude = 100

    def compare(self, what, expected, actual):
        compare(f"{self.name}: {what}", expected, actual)

    def running(self):
        return self.direct.leaf("altitude")

    def new(self):
        self.altitude += 1
        return str(self.altitude)

    def start(self, what, seconds=LONG):
        """A confirmed commit; what was running before and what is now."""
        before, value = self.running(), self.new()
        body = {"edits": [{"config": greenhouse(altitude=value)}], "commit": {"confirm_timeout_seconds": seconds}}
        change = self.gateway.call("POST", f"{self.path}/changes", 201, json=body).json()
        commit = change["confirmed_commit"]
        self.compare(f"{what}: it is pending",
                     ("pending_confirm", "applied", "pending", self.persists, seconds),
                     (change["state"], change["outcome"], commit["state"], commit["persistent"],
                      commit["timeout_seconds"]))
        return commit, before, value

    def get(self, commit):
        return self.gateway.call("GET", f"/v1/confirmed-commits/{commit['id']}").json()

    def order(self, commit, verb, expected=200, **body):
        body = {"json": body} if body or verb != "cancel" else {}
        return self.gateway.call("POST", f"/v1/confirmed-commits/{commit['id']}/{verb}", expected, **body).json()

    def settled(self, commit, condition):
        """The commit when this holds, or as it is long after it should."""
        end = time.monotonic() + SECONDS
        while True:
            seen = self.get(commit)
            if condition(seen) or time.monotonic() > end:
                return seen
            time.sleep(0.1)

    def ends(self, what, commit, state, running, by=None, reason=None):
        """How it ended, by the gateway's word, by that of its change, and by what is running."""
        seen = self.settled(commit, lambda seen: seen["state"] not in (*MOVING, "pending"))
        change = self.gateway.call("GET", f"{self.path}/changes/{seen['change_id']}").json()
        self.compare(f"{what}: {state}", (state, state, by, reason, running),
                     (seen["state"], change["state"], seen.get("by"), seen.get("reason"), self.running()))

    def pends(self, what, commit, running):
        """Without its session, by the token alone."""
        seen = self.settled(commit, lambda seen: seen["state"] not in MOVING and seen.get("session_id") is None)
        self.compare(f"{what}: pending without its session", ("pending", None, running),
                     (seen["state"], seen.get("session_id"), self.running()))

    def ends_or_pends(self, what, commit, before, value, reason):
        """Its session is gone: with a token it is confirmed by another, without one it is undone."""
        if not self.persists:
            return self.ends(what, commit, "rolled_back", before, reason=reason)
        self.pends(what, commit, value)
        self.order(commit, "confirm")
        return self.ends(what, commit, "confirmed", value, by="us")

    def free(self, what):
        """Nothing is left of it that keeps anybody out."""
        with self.direct.session.locked("candidate"):
            self.compare(f"{what}: the candidate is as running, and free", self.running(),
                         self.direct.leaf("altitude", "candidate"))


def confirm(lab):
    commit, _, value = lab.start("confirm", SHORT)
    lab.compare("confirm: it runs already", value, lab.running())
    other = {"edits": [{"config": greenhouse(altitude="1")}]}
    problem = lab.gateway.call("POST", f"{lab.path}/changes", 409, json=other).json()
    lab.compare("confirm: nothing else gets through", ("/problems/confirmed-commit-pending", commit["id"]),
                (problem["type"], problem["confirmed_commit_id"]))
    lab.compare("confirm: ncclient may neither commit nor lock", ("in-use", "lock-denied"),
                (lab.direct.refused(lambda session: session.commit())[0],
                 lab.direct.refused(lambda session: session.lock("candidate"))[0]))
    lab.order(commit, "confirm")
    lab.ends("confirm", commit, "confirmed", value, by="us")
    problem = lab.order(commit, "cancel", 409)
    lab.compare("confirm: it cannot be cancelled then", "/problems/invalid-state", problem["type"])
    time.sleep(SHORT + IDLE)
    lab.compare("confirm: it runs after its time", value, lab.running())
    lab.free("confirm")


def cancel(lab):
    commit, before, _ = lab.start("cancel")
    cancelled = lab.order(commit, "cancel")
    lab.compare("cancel: it is undone when that is said", ("cancelled", before), (cancelled["state"], lab.running()))
    lab.ends("cancel", commit, "cancelled", before)
    lab.free("cancel")


def probes(lab):
    """One that holds, and one that never does; the gateway decides alone."""
    for equals, state, more in (("expected", "confirmed", {"by": "us"}), ("other", "cancelled", {})):
        before, value = lab.running(), lab.new()
        leaf = "/greenhouse/altitude"
        probe = {"rpc": {"get": {"filter": {"@": {"type": "subtree"}, **greenhouse(altitude=None)}}},
                 "expect": [{"pointer": leaf, "equals": value if equals == "expected" else "no such altitude"}],
                 "delay_seconds": 0, "interval_seconds": 1, "give_up_seconds": 1}
        body = {"edits": [{"config": greenhouse(altitude=value)}], "commit": {"confirm_timeout_seconds": LONG},
                "probe": probe}
        change = lab.gateway.call("POST", f"{lab.path}/changes", 201, json=body).json()
        commit = change["confirmed_commit"]
        failure = commit["probe"].get("last_failure", {})
        lab.compare(f"a probe: {state}", (state, "held" if more else "gave_up", None if more else json.dumps(value)),
                    (change["state"], commit["probe"]["state"], failure.get("seen")))
        lab.ends("a probe", commit, state, value if more else before, **more)
    lab.free("a probe")


def extend(lab):
    commit, _, value = lab.start("extend", SHORT)
    extended = lab.order(commit, "extend", confirm_timeout_seconds=LONG)
    lab.compare("extend: a later deadline", ("pending", LONG, True),
                (extended["state"], extended["timeout_seconds"], extended["deadline"] > commit["deadline"]))
    time.sleep(SHORT + IDLE)
    lab.compare("extend: it runs after its first time", ("pending", value), (lab.get(commit)["state"], lab.running()))
    lab.order(commit, "confirm")
    lab.ends("extend", commit, "confirmed", value, by="us")


def timeout(lab):
    commit, before, value = lab.start("timeout", 3)
    lab.compare("timeout: it runs until then", value, lab.running())
    if not lab.persists:
        time.sleep(1.2)
        problem = lab.order(commit, "confirm", 409)
        lab.compare("timeout: a confirm so near the end is not sent", ("/problems/invalid-state", "too_late", "not_sent"),
                    (problem["type"], problem.get("reason"), problem.get("outcome")))
    lab.ends("timeout", commit, "rolled_back", before, reason="timeout")
    problem = lab.order(commit, "confirm", 409)
    lab.compare("timeout: it cannot be confirmed then", ("/problems/invalid-state", before),
                (problem["type"], lab.running()))
    lab.free("timeout")


def dropped(lab):
    commit, before, value = lab.start("a dropped connection")
    lab.relay.cut()
    lab.ends_or_pends("a dropped connection", commit, before, value, "session_lost")


def edit_session(lab):
    """Its commit takes its NETCONF session along, lock and all; what it becomes is up to the confirmed commit."""
    for verb, state, more in (("confirm", "confirmed", {"by": "us"}), ("cancel", "cancelled", {})):
        what = f"an edit session, {state}"
        before, value = lab.running(), lab.new()
        opened = lab.gateway.call("POST", f"{lab.path}/edit-sessions", 201, json={"ttl_seconds": 60}).json()
        this = f"{lab.path}/edit-sessions/{opened['id']}"
        lab.gateway.call("POST", f"{this}/edit", json={"config": greenhouse(altitude=value)})
        lab.compare(f"{what}: nothing runs before its commit", before, lab.running())
        closed = lab.gateway.call("POST", f"{this}/commit", json={"confirm_timeout_seconds": LONG}).json()
        commit = closed["commit"]["confirmed_commit"]
        lab.compare(f"{what}: it is pending in the session of the edits",
                    ("closed", "confirmed_commit", "pending_confirm", "pending", lab.persists, opened["session_id"], value),
                    (closed["state"], closed["reason"], closed["commit"]["state"], commit["state"], commit["persistent"],
                     commit["session_id"], lab.running()))
        lab.compare(f"{what}: ncclient may not lock", "lock-denied",
                    lab.direct.refused(lambda session: session.lock("candidate"))[0])
        lab.gateway.call("POST", f"{this}/edit", 410, json={"config": greenhouse(altitude="1")})
        lab.order(commit, verb)
        lab.ends(what, commit, state, value if more else before, **more)
        lab.free(what)


def kills(lab):
    commit, before, value = lab.start("killed by another")
    with connect(lab.server) as other:
        other.kill_session(str(commit["session_id"]))
    lab.ends_or_pends("killed by another", commit, before, value, "session_lost")
    commit, before, value = lab.start("killed by the gateway")
    kill = f"{lab.path}/sessions/{commit['session_id']}/kill"
    problem = lab.gateway.call("POST", kill, 412, json={}).json()
    lab.compare("killed by the gateway: only when that is meant", ("confirmed_commit", value),
                (problem.get("reason"), lab.running()))
    lab.gateway.call("POST", kill, json={"force": True})
    lab.ends_or_pends("killed by the gateway", commit, before, value, "killed")
    lab.free("kills")


def restarts(lab):
    for what, number in (("a restart of the gateway", signal.SIGTERM), ("a crash of the gateway", signal.SIGKILL)):
        commit, before, value = lab.start(what)
        begin = time.monotonic()
        status = lab.process.end(number)
        # Sessions that nobody ends are cut after 5 s.
        lab.compare(f"{what}: the status, and soon", (0 if number == signal.SIGTERM else -number, True),
                    (status, time.monotonic() - begin < 4))
        lab.compare(f"{what}: what runs meanwhile", value if lab.persists else before, lab.running())
        lab.process.start()
        lab.ends_or_pends(what, commit, before, value, "session_lost")
    lab.free("restarts")


def overslept(lab):
    """The time is up while there is no gateway; without a token the end of the gateway's session came first."""
    commit, before, _ = lab.start("no gateway at its time", 2)
    lab.process.end(signal.SIGKILL)
    time.sleep(2 + IDLE)
    lab.process.start()
    reason = "timeout" if lab.persists else "session_lost"
    lab.ends("no gateway at its time", commit, "rolled_back", before, reason=reason)


def server_restarts(lab):
    """This server forgets the token and starts with what was confirmed last."""
    commit, before, _ = lab.start("a restart of the server")
    netconfd_py = os.path.join(HERE, "..", "netconfd", "netconfd.py")
    directory = os.path.dirname(lab.server["key"])
    subprocess.run([sys.executable, netconfd_py, "restart", directory], check=True, stdout=subprocess.DEVNULL)
    with connect(lab.server) as session:
        lab.direct = Direct(session)
        lab.ends("a restart of the server", commit, "rolled_back", before, reason="reboot")
        lab.free("a restart of the server")


def saved(lab):
    """Startup follows only what was confirmed."""
    commit, before, value = lab.start("startup")
    lab.compare("startup: it does not follow yet", (value, before), (lab.running(), lab.direct.leaf("altitude", "startup")))
    lab.order(commit, "confirm")
    lab.ends("startup", commit, "confirmed", value, by="us")
    lab.compare("startup: it follows the confirm", value, lab.direct.leaf("altitude", "startup"))


def close(session):
    """Also one that the server has ended."""
    with contextlib.suppress(TransportError):
        session.close_session()


def run(binary, name, options, persists, scenarios):
    """All of these on one server; False where it cannot be had."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(netconfd(*options))
        if server is None:
            return False
        direct = Direct(connect(server))
        stack.callback(close, direct.session)
        relay = Relay(server["address"])
        stack.callback(relay.listener.close)
        process = Process(binary, stack.enter_context(tempfile.TemporaryDirectory(prefix="ncgate-confirm-")))
        process.start()
        stack.callback(process.end)
        through = {**server, "address": relay.address}
        body = {"name": name, **settings(through, COMMIT_BEFORE_VALIDATE)}
        process.gateway.call("POST", "/v1/devices", 201, json=body)
        lab = Lab(name, process, f"/v1/devices/{name}", server, relay, direct, persists)
        for scenario in scenarios:
            begin = time.monotonic()
            scenario(lab)
            print(f"{name}: {scenario.__name__} took {time.monotonic() - begin:.1f} s", flush=True)
    return True


def main():
    common = [confirm, cancel, probes, edit_session, extend, timeout, dropped, kills, restarts, overslept]
    runs = [("with-persist", [], True, [*common, server_restarts]),
            ("without-persist", ["--base10"], False, common),
            ("with-startup", ["--startup"], True, [saved])]
    with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
        done = [pool.submit(run, sys.argv[1], *arguments) for arguments in runs]
        if not all(one.result() for one in done):
            print("skipped: netconfd is not installed: no confirmed commit of a real server was tried")
            return
    if differences:
        raise SystemExit(f"FAILED {len(differences)} differences: {differences}")
    print("all as it should be")


if __name__ == "__main__":
    main()
