#!/usr/bin/env python3
"""The write path against a real server: what the gateway does to netconfd is read back by ncclient, step by step.

    netconfd_write.py http://127.0.0.1:8830

Starts netconfd (tests/netconfd), adds it to the gateway as devices of several profiles, and checks through REST and gRPC:
locks from two sides, edit, diff, discard, commit, the change in one call and its dry run, copy-config, kill-session, a
server whose validated commit drops the edit, one with a startup datastore, and one that writes to running only. The
gateway must allow devices on loopback.

Prints "skipped: ..." and ends with status 0 where the server cannot be had.
"""

import json
import sys
import time

from ncclient import manager
from ncclient.operations import RPCError

sys.dont_write_bytecode = True
from judge import noticed_end  # noqa: E402
from netconfd_compare import LAB, SECONDS, Gateway, compare, differences, key, netconfd  # noqa: E402

COMMIT_BEFORE_VALIDATE = {"validate": False}


def connect(server):
    host, port = server["address"].split(":")
    return manager.connect(host=host, port=int(port), username=server["user"], key_filename=server["key"],
                           hostkey_verify=False, allow_agent=False, look_for_keys=False, timeout=SECONDS)


def settings(server, quirks):
    host, port = server["address"].split(":")
    with open(server["known_hosts"]) as f:
        keys = [" ".join(line.split()[1:3]) for line in f]
    return {"address": host, "port": int(port), "username": server["user"], "auth": key("key")(server),
            "host_key": {"policy": "pinned", "keys": keys}, "quirks": quirks}


def greenhouse(**leaves):
    """A part of the greenhouse as the JSON of an edit."""
    return {"greenhouse": {"@": {"xmlns": LAB}, **leaves}}


class Direct:
    """What ncclient sees over a session of its own."""

    def __init__(self, session):
        self.session = session

    def leaf(self, name, source="running"):
        filter_ = f'<greenhouse xmlns="{LAB}"><{name}/></greenhouse>'
        data = self.session.get_config(source, filter=("subtree", filter_)).data
        found = data.find(f".//{{{LAB}}}{name}")
        return None if found is None else found.text

    def refused(self, operation):
        """Tag and holder of the rpc-error that an operation ends with."""
        try:
            operation(self.session)
        except RPCError as error:
            info = error.info or ""
            holder = info.split("session-id>")[1].split("<")[0] if "session-id>" in info else None
            return error.tag, holder
        return None, None


def sessions(gateway, path, body, expected=201):
    return gateway.call("POST", f"{path}/edit-sessions", expected, json=body).json()


def locks_from_two_sides(gateway, path, direct):
    ours = sessions(gateway, path, {"ttl_seconds": 60})
    compare("an exclusive edit session is open", ("open", "exclusive", "candidate", False),
            (ours["state"], ours["mode"], ours["datastore"], ours["uncommitted"]))
    compare("ncclient is refused the lock, and told whose it is", ("lock-denied", str(ours["session_id"])),
            direct.refused(lambda session: session.lock("candidate")))
    locks = gateway.call("GET", f"{path}/locks").json()["locks"]
    compare("the lock is listed as ours", [ours["id"]], [lock.get("edit_session") for lock in locks
                                                        if lock["holder"].get("session_id") == ours["session_id"]])
    gateway.call("DELETE", f"{path}/edit-sessions/{ours['id']}", 204)
    with direct.session.locked("candidate"):
        problem = sessions(gateway, path, {}, 409)
        compare("the gateway is refused the lock, and tells whose it is",
                ("/problems/lock-denied", direct.session.session_id),
                (problem["type"], str(problem.get("holder", {}).get("session_id"))))
        begin = time.monotonic()
        problem = sessions(gateway, path, {"wait_seconds": 2}, 409)
        waited = time.monotonic() - begin
        compare("waiting for it gives up on time", True, 2 <= waited < 6)


def edit_session(gateway, path, direct):
    opened = sessions(gateway, path, {"ttl_seconds": 60})
    this = f"{path}/edit-sessions/{opened['id']}"
    edited = gateway.call("POST", f"{this}/edit", json={"config": greenhouse(**{"beds-total": "31"})}).json()
    compare("after an edit something is uncommitted", True, edited["uncommitted"])
    read = gateway.call("GET", f"{this}/config").json()
    compare("the session reads its candidate", "31", read["data"]["greenhouse"]["beds-total"])
    compare("ncclient sees it in the candidate alone", ("31", "12"),
            (direct.leaf("beds-total", "candidate"), direct.leaf("beds-total")))
    diff = gateway.call("GET", f"{this}/diff").json()
    compare("the diff names both values", (True, True, True),
            (diff["changed"], "12" in diff["diff"], "31" in diff["diff"]))
    stubs = gateway.stubs
    service = stubs.edit_session_service_grpc.EditSessionServiceStub(gateway.channel)
    request = stubs.edit_session_service.DiffEditSessionRequest(device=path.rsplit("/", 1)[1], id=opened["id"])
    compare("gRPC tells the same diff", diff["diff"], service.DiffEditSession(request, timeout=SECONDS).diff)
    gateway.call("POST", f"{this}/discard")
    compare("after a discard the candidate is running again", "12", direct.leaf("beds-total", "candidate"))
    compare("and nothing differs", False, gateway.call("GET", f"{this}/diff").json()["changed"])
    gateway.call("POST", f"{this}/edit", json={"config": greenhouse(altitude="77")})
    gateway.call("POST", f"{this}/commit", json={})
    compare("a commit reaches running", "77", direct.leaf("altitude"))
    problem = gateway.call("POST", f"{this}/edit", 400, json={"config": greenhouse(altitude="high")}).json()
    compare("what the server refuses is told by its own error", ("device", "altitude"),
            (problem["origin"], "altitude" if "altitude" in json.dumps(problem["rpc_errors"]) else "nothing"))
    gateway.call("DELETE", this, 204)
    compare("nothing of the refused edit is left", "77", direct.leaf("altitude", "candidate"))
    compare("the lock is free", (None, None), direct.refused(lambda session: session.lock("candidate")))
    direct.session.unlock("candidate")


def changes(gateway, path, direct):
    done = gateway.call("POST", f"{path}/changes", 201, json={"edits": [{"config": greenhouse(altitude="81")}]}).json()
    compare("a change in one call", ("committed", "applied", True), (done["state"], done["outcome"], done["changed"]))
    compare("ncclient sees it", "81", direct.leaf("altitude"))
    again = gateway.call("POST", f"{path}/changes", 201, json={"edits": [{"config": greenhouse(altitude="81")}]}).json()
    compare("the same once more changes nothing", ("unchanged", False), (again["state"], again["changed"]))
    dry = gateway.call("POST", f"{path}/changes", 201, json={
        "edits": [{"config": greenhouse(altitude="99")}], "dry_run": True}).json()
    compare("a dry run tells the difference and leaves nothing", (True, "81", "81"),
            ("99" in dry["diff"], direct.leaf("altitude"), direct.leaf("altitude", "candidate")))
    problem = gateway.call("POST", f"{path}/changes", 409, json={"edits": [
        {"config": greenhouse(altitude="90")}, {"config": greenhouse(**{"spare-bed": "b9"}, **{"show-bed": "b9"})}],
        "commit": {}}).json()
    compare("a change that the server refuses is undone", ("not_applied", "81", "81"),
            (problem["outcome"], direct.leaf("altitude"), direct.leaf("altitude", "candidate")))
    # Somebody else's edits in the shared candidate stop a change, and stay.
    direct.session.edit_config(target="candidate", config=(
        f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><greenhouse xmlns="{LAB}">'
        "<altitude>5</altitude></greenhouse></config>"))
    problem = gateway.call("POST", f"{path}/changes", 409, json={"edits": [{"config": greenhouse(altitude="6")}]}).json()
    compare("leftovers of others stop a change", ("/problems/lock-denied", "candidate_modified", "5"),
            (problem["type"], problem.get("reason"), direct.leaf("altitude", "candidate")))
    direct.session.discard_changes()


def copies(gateway, path, direct):
    gateway.call("POST", f"{path}/config/copy", json={"source": "running", "target": "candidate"})
    compare("running copied to the candidate", direct.leaf("altitude"), direct.leaf("altitude", "candidate"))
    problem = gateway.call("POST", f"{path}/config/copy", 501, json={"source": "running", "target": "startup"}).json()
    compare("a copy that the capabilities do not allow is not sent", ("not_sent", True),
            (problem["outcome"], ":startup" in json.dumps(problem)))


def kills(gateway, path, server):
    victim = connect(server)
    gateway.call("POST", f"{path}/sessions/{victim.session_id}/kill", json={"reason": "a test"})
    compare("a killed session is gone", True, noticed_end(victim))
    ours = sessions(gateway, path, {"ttl_seconds": 60})
    with connect(server) as other:
        other.kill_session(str(ours["session_id"]))
    for _ in range(100):
        seen = gateway.call("GET", f"{path}/edit-sessions/{ours['id']}").json()
        if seen["state"] != "open":
            break
        time.sleep(0.05)
    compare("our session that another killed is lost", "lost", seen["state"])
    problem = gateway.call("POST", f"{path}/edit-sessions/{ours['id']}/commit", 410, json={}).json()
    compare("and cannot be committed", "/problems/edit-session-lost", problem["type"])
    ours = sessions(gateway, path, {"ttl_seconds": 60})
    gateway.call("POST", f"{path}/sessions/{ours['session_id']}/kill", json={})
    seen = gateway.call("GET", f"{path}/edit-sessions/{ours['id']}").json()
    compare("our session that the gateway killed is lost at once", ("lost", "killed"), (seen["state"], seen["reason"]))


def dropped_edits(gateway, server, direct):
    """A validate before the commit makes this server drop the edit, and answer ok."""
    before = direct.leaf("altitude")
    body = {"edits": [{"config": greenhouse(altitude="55")}]}
    for quirks in ({}, {"verify_after_commit": True}):
        with gateway.device("netconfd-verified", settings(server, quirks)) as path:
            answer = gateway.http.post(f"{gateway.url}{path}/changes", json=body, timeout=SECONDS)
            problem = answer.json()
            compare(f"a commit that was dropped is no success: {quirks}", (True, "not_applied", before),
                    (answer.status_code >= 400, problem.get("outcome"), direct.leaf("altitude")))


def startup(gateway):
    with netconfd("--startup") as server, connect(server) as session:
        direct = Direct(session)
        with gateway.device("netconfd-startup", settings(server, COMMIT_BEFORE_VALIDATE)) as path:
            body = {"edits": [{"config": greenhouse(altitude="61")}], "commit": {"save": False}}
            gateway.call("POST", f"{path}/changes", 201, json=body)
            compare("without save startup is as it was", ("61", "-3"),
                    (direct.leaf("altitude"), direct.leaf("altitude", "startup")))
            body = {"edits": [{"config": greenhouse(altitude="62")}]}
            done = gateway.call("POST", f"{path}/changes", 201, json=body).json()
            compare("a change is saved", ("committed", "62", "62"),
                    (done["state"], direct.leaf("altitude"), direct.leaf("altitude", "startup")))
            gateway.call("POST", f"{path}/config/copy", json={"source": "startup", "target": "candidate"})
            compare("startup copied to the candidate", "62", direct.leaf("altitude", "candidate"))


def writable_running(gateway):
    with netconfd("--writable-running") as server, connect(server) as session:
        direct = Direct(session)
        with gateway.device("netconfd-running", settings(server, COMMIT_BEFORE_VALIDATE)) as path:
            done = gateway.call("POST", f"{path}/changes", 201, json={
                "edits": [{"config": greenhouse(altitude="33")}]}).json()
            compare("a change on a server without a candidate", ("committed", "applied", "33"),
                    (done["state"], done["outcome"], direct.leaf("altitude")))
            problem = gateway.call("POST", f"{path}/changes", 501, json={
                "edits": [{"config": greenhouse(altitude="34")}], "dry_run": True}).json()
            compare("its dry run is refused", ("not_sent", "33"), (problem["outcome"], direct.leaf("altitude")))


def main():
    gateway = Gateway(sys.argv[1])
    with netconfd() as server:
        if server is None:
            print("skipped: netconfd is not installed: nothing was written to a real server")
            return
        with connect(server) as session:
            direct = Direct(session)
            with gateway.device("netconfd-write", settings(server, COMMIT_BEFORE_VALIDATE)) as path:
                locks_from_two_sides(gateway, path, direct)
                edit_session(gateway, path, direct)
                changes(gateway, path, direct)
                copies(gateway, path, direct)
                kills(gateway, path, server)
            dropped_edits(gateway, server, direct)
    startup(gateway)
    writable_running(gateway)
    if differences:
        raise SystemExit(f"FAILED {len(differences)} differences: {differences}")
    print("all as it should be")


if __name__ == "__main__":
    main()
