#!/usr/bin/env python3
"""ncclient and PyEZ judge the emulated device: they connect, gather facts, read and configure, as they would a router.

    judge_emulator.py --ncgate target/debug/ncgate

Starts `ncgate emulator` on a free port of loopback, for each profile in turn, and ends it at the end.
"""

import argparse
import contextlib
import pathlib
import select
import socket
import subprocess
import sys
import time

from jnpr.junos import Device
from jnpr.junos.exception import RpcError
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError as NcclientError
from ncclient.xml_ import to_ele

USER, PASSWORD = "lab", "lab-Secret-1"
SECONDS = 20


def check(condition, what):
    if not condition:
        raise SystemExit(f"FAILED {what}")
    print(f"ok {what}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def emulator(ncgate, *options):
    """A running emulated device; yields its port."""
    port = free_port()
    command = [ncgate, "emulator", "--listen", f"127.0.0.1:{port}", "--user", USER, "--password", PASSWORD, *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"FAILED {' '.join(command)} does not listen (status {process.poll()})")
            select.select([], [], [], 0.05)
        yield port
    finally:
        process.terminate()
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise SystemExit("FAILED the emulator does not end on SIGTERM")
    check(status == 0, "the emulator ends with status 0 on SIGTERM")


def with_ncclient(port, handler):
    login = {"host": "127.0.0.1", "port": port, "username": USER, "password": PASSWORD, "hostkey_verify": False,
             "allow_agent": False, "look_for_keys": False, "timeout": SECONDS, "device_params": {"name": handler}}
    with manager.connect(**login) as m:
        label = f"ncclient ({handler})"
        check(int(m.session_id) > 0, f"{label}: session {m.session_id}")
        check(any("junos" in uri for uri in m.server_capabilities), f"{label}: the vendor's capability")

        config = m.get_config("running", filter=("subtree", "<configuration><system><host-name/></system></configuration>"))
        root = etree.fromstring(config.data_xml.encode())
        names = root.xpath("//*[local-name()='host-name']/text()")
        check(len(names) == 1 and names[0], f"{label}: get-config by filter: host-name {names}")
        check(not root.xpath("//*[local-name()='interfaces']"), f"{label}: and nothing but what the filter names")

        reply = m.dispatch(to_ele("<get-software-information/>"))
        version = etree.fromstring(reply_xml(reply)).xpath("//*[local-name()='junos-version' or "
                                                           "local-name()='package-information']")
        check(version, f"{label}: get-software-information")

        reply = m.dispatch(to_ele("<get-interface-information><terse/></get-interface-information>"))
        interfaces = etree.fromstring(reply_xml(reply)).xpath("//*[local-name()='physical-interface']")
        check(len(interfaces) > 1, f"{label}: {len(interfaces)} interfaces")

        try:
            m.dispatch(to_ele("<get-no-such-information/>"))
            raise SystemExit(f"FAILED {label}: an unknown RPC was answered")
        except NcclientError as error:
            check("syntax error" in str(error), f"{label}: unknown RPC refused: {str(error).strip()}")

        if handler == "junos":
            text = m.command("show version", format="text")
            check(text.xpath("//output")[0].text.strip(), f"{label}: show version as text")
            level = m.rpc("<get-configuration><configuration><system><ntp/></system></configuration></get-configuration>")
            check(level.xpath("//configuration/system/ntp/server") and not level.xpath("//configuration/interfaces"),
                  f"{label}: get-configuration of one level")


def reply_xml(reply):
    """The bytes of a reply, whichever class the handler makes of it."""
    for attribute in ("xml", "tostring", "data_xml"):
        value = getattr(reply, attribute, None)
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode()
    raise SystemExit(f"FAILED no XML in {type(reply)}")


def with_pyez(port):
    with Device(host="127.0.0.1", port=port, user=USER, passwd=PASSWORD, ssh_config="/dev/null", gather_facts=False,
                timeout=SECONDS) as device:
        facts = {name: device.facts[name] for name in ("hostname", "model", "version", "serialnumber", "personality")}
        check(all(facts[name] for name in ("hostname", "model", "version", "serialnumber")), f"PyEZ: facts {facts}")
        check(device.facts["version_info"].major, f"PyEZ: version {device.facts['version_info']}")

        interfaces = device.rpc.get_interface_information(terse=True)
        names = [name.strip() for name in interfaces.xpath("physical-interface/name/text()")]
        check(len(names) > 1, f"PyEZ: interfaces {names}")
        one = device.rpc.get_interface_information(interface_name=names[0], detail=True)
        check([n.strip() for n in one.xpath("physical-interface/name/text()")] == [names[0]], "PyEZ: one by name")

        config = device.rpc.get_config(filter_xml="system/host-name", options={"database": "committed"})
        check(config.tag == "configuration" and config.findtext("system/host-name") == facts["hostname"],
              "PyEZ: configuration by path")
        text = device.rpc.get_config(options={"format": "text"})
        check("host-name" in text.text, "PyEZ: configuration as text")
        lines = device.rpc.get_config(options={"format": "set"})
        check(f"set system host-name {facts['hostname']}" in lines.text, "PyEZ: configuration as set commands")
        as_json = device.rpc.get_config(options={"format": "json"})
        check("configuration" in as_json, "PyEZ: configuration as the device's JSON")

        check(device.rpc.get_chassis_inventory().findtext("chassis/serial-number"), "PyEZ: chassis inventory")
        check(device.rpc.get_system_uptime_information() is not None, "PyEZ: uptime")
        check(device.rpc.get_commit_information().tag == "commit-information", "PyEZ: commit history")
        check("Hostname" in device.cli("show version", warning=False), "PyEZ: cli")
        try:
            device.rpc.get_no_such_information()
            raise SystemExit("FAILED PyEZ: an unknown RPC was answered")
        except RpcError as error:
            check("syntax error" in str(error), f"PyEZ: unknown RPC refused: {error}")


# Scripts that judge a device of their own each, and the profiles that they judge.
SCRIPTS = {
    "pyez_read.py": ["junos"],
    "ncclient_read.py": ["junos", "junos-rfc11"],
    "pyez_write.py": ["junos"],
    "ncclient_write.py": ["junos", "rfc", "rfc-running"],
    "pyez_confirm.py": ["junos"],
    "ncclient_confirm.py": ["junos", "rfc", "rfc-no-startup", "rfc-1.0"],
}


def with_scripts(ncgate):
    here = pathlib.Path(__file__).parent
    for script, profiles in SCRIPTS.items():
        for profile in profiles:
            with emulator(ncgate, "--profile", profile) as port:
                command = [sys.executable, str(here / script), "--port", str(port), "--user", USER, "--password",
                           PASSWORD, "--profile", profile]
                check(subprocess.run(command, check=False).returncode == 0, f"{script} ({profile})")


def with_others_at_work(ncgate):
    """What a client is told while somebody else configures, and by devices that are not one machine."""
    with emulator(ncgate, "--exclusive-user", "noc") as port, manager.connect(**junos(port)) as m:
        try:
            m.lock("candidate")
            raise SystemExit("FAILED a lock was had twice")
        except NcclientError as error:
            check("noc terminal pts/0 (pid " in str(error), f"a user at the CLI holds the lock: {error}".replace("\n", " "))
            pid = str(error).split("(pid ")[1].split(")")[0]
        replies = [m.kill_session(pid), m.lock("candidate")]
        check(all("<ok/>" in str(reply) for reply in replies), "who is killed holds nothing")
    with emulator(ncgate, "--uncommitted", "set snmp contact theirs") as port, manager.connect(**junos(port)) as m:
        try:
            m.lock("candidate")
            raise SystemExit("FAILED a changed candidate was locked")
        except NcclientError as error:
            check("configuration database modified" in str(error), "leftovers are in the way of a lock")
        check("contact theirs;" in str(m.compare_configuration(rollback=0)), "and can be looked at")
    with emulator(ncgate, "--member", "node0", "--unclosed-members") as port, manager.connect(**junos(port)) as m:
        try:
            m.commit(check=True)
            raise SystemExit("FAILED the answer of a cluster is XML")
        except etree.XMLSyntaxError as error:
            check("routing-engine" in str(error), f"the answer of a cluster is no XML: {error}")
    with emulator(ncgate, "--member", "re0", "--member", "re1", "--commit-warning", "requires 'bgp' license") as port, \
            manager.connect(**junos(port)) as m:
        m.load_configuration(action="set", config="set snmp contact both")
        reply = etree.fromstring(reply_xml(m.commit(synchronize=True)))
        names = reply.xpath("//routing-engine[commit-success]/name/text()")
        check(names == ["re0", "re1"], f"both routing engines commit: {names}")
        check(reply.xpath("//rpc-error[error-severity='warning']"), "with a warning")


def junos(port):
    return {"host": "127.0.0.1", "port": port, "username": USER, "password": PASSWORD, "hostkey_verify": False,
            "allow_agent": False, "look_for_keys": False, "timeout": SECONDS, "device_params": {"name": "junos"}}


def main():
    parser = argparse.ArgumentParser(description="ncclient and PyEZ judge the emulated device")
    parser.add_argument("--ncgate", required=True, help="the binary")
    parser.add_argument("--port", type=int, help="judge a device that runs already (user lab, password lab-Secret-1)")
    options = parser.parse_args()
    device = contextlib.nullcontext(options.port) if options.port else emulator(options.ncgate)
    with device as port:
        with_ncclient(port, "junos")
        with_ncclient(port, "default")
        with_pyez(port)
    if not options.port:
        with_scripts(options.ncgate)
        with_others_at_work(options.ncgate)
    print("judged")


if __name__ == "__main__":
    main()
