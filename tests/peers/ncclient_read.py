#!/usr/bin/env python3
"""Reads from an emulated device with ncclient: capabilities, get-config, get, RPCs, commands, formats, errors."""

import json

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import AuthenticationError
from ncclient.xml_ import new_ele, sub_ele, to_ele

from judge import Judge, arguments


def connect(args, device="junos", **more):
    given = {
        "host": args.host,
        "port": args.port,
        "username": args.user,
        "password": args.password,
        "hostkey_verify": False,
        "look_for_keys": False,
        "allow_agent": False,
        "timeout": 20,
        "device_params": {"name": device},
    }
    given.update(more)
    return manager.connect(**given)


def texts(reply, path):
    """Texts of the elements at an XPath of local names."""
    root = etree.fromstring(str(reply).encode())
    steps = "/".join(f"*[local-name()='{name}']" for name in path.split("/"))
    return [(element.text or "").strip() for element in root.xpath(f".//{steps}")]


def capabilities(judge, args):
    with connect(args) as session:
        offered = list(session.server_capabilities)
        judge.true("session-id is a number", int(session.session_id) > 0)
        judge.true("vendor capability", "http://xml.juniper.net/netconf/junos/1.0" in offered)
        if args.profile != "junos-old":
            judge.true("candidate", ":candidate" in session.server_capabilities)
        if args.profile == "junos-rfc11":
            judge.true("base:1.1", "urn:ietf:params:netconf:base:1.1" in offered)
        with connect(args) as other:
            judge.true("another session has another id", other.session_id != session.session_id)


def logins(judge, args):
    judge.raises("wrong password", AuthenticationError, lambda: connect(args, password="wrong"))
    if args.key:
        with connect(args, password=None, key_filename=args.key) as session:
            judge.true("login by key", session.connected)


def get_config(judge, args):
    with connect(args) as session:
        whole = session.get_config(source="running")
        judge.equal("host-name", texts(whole, "configuration/system/host-name"), [args.hostname])
        names = texts(whole, "interfaces/interface/name")
        judge.true("interfaces", {"ge-0/0/0", "ge-0/0/1", "fxp0", "lo0"} <= set(names))
        users = ("subtree", "<configuration><system><login><user><name>admin</name></user></login></system></configuration>")
        part = session.get_config(source="running", filter=users)
        judge.equal("one user", texts(part, "login/user/name"), ["admin"])
        judge.equal("its class", texts(part, "login/user/class"), ["super-user"])
        judge.equal("nothing else", texts(part, "interfaces"), [])
        leaf = ("subtree", "<configuration><system><services><netconf><ssh><port/></ssh></netconf></services></system></configuration>")
        judge.equal("a leaf", texts(session.get_config(source="candidate", filter=leaf), "ssh/port"), ["830"])
        none = ("subtree", "<configuration><vlans/></configuration>")
        judge.equal("no data", texts(session.get_config(source="running", filter=none), "vlans"), [])


def get(judge, args):
    with connect(args) as session:
        name = ("subtree", "<configuration><system><host-name/></system></configuration>")
        judge.equal("get with filter", texts(session.get(filter=name), "system/host-name"), [args.hostname])
        judge.true("get has state, too", "netconf-state" in str(session.get()))


def rpcs(judge, args):
    with connect(args) as session:
        version = session.dispatch(to_ele("<get-software-information/>"))
        judge.equal("host-name", texts(version, "software-information/host-name"), [args.hostname])
        judge.equal("model", texts(version, "software-information/product-model"), ["mx240"])
        short = session.rpc("<get-interface-information><interface-name>ge-0/0/0</interface-name><terse/></get-interface-information>")
        judge.equal("port and unit", texts(short, "physical-interface/name") + texts(short, "logical-interface/name"), ["ge-0/0/0", "ge-0/0/0.0"])
        judge.equal("address", texts(short, "interface-address/ifa-local"), ["198.51.100.0/31", "2001:db8:0:1::/127"])
        serial = session.rpc("<get-chassis-inventory/>")
        judge.equal("serial number", texts(serial, "chassis-inventory/chassis/serial-number"), ["JN1269A5BAFC"])
        commits = session.rpc("<get-commit-information/>")
        judge.equal("history", texts(commits, "commit-history/sequence-number"), ["0", "1", "2", "3"])
        judge.true("uptime", texts(session.rpc("<get-system-uptime-information/>"), "system-booted-time/time-length"))
        engines = session.rpc("<get-route-engine-information/>")
        judge.equal("mastership", texts(engines, "route-engine/mastership-state"), ["master"])
        # Many requests one after the other, on one session.
        names = [texts(session.rpc("<get-software-information/>"), "host-name")[0] for _ in range(25)]
        judge.equal("25 in a row", names, [args.hostname] * 25)


def commands(judge, args):
    with connect(args) as session:
        text = session.command(command="show version", format="text")
        judge.contains("show version as text", texts(text, "output")[0], f"Hostname: {args.hostname}")
        xml = session.command(command="show version", format="xml")
        judge.equal("show version as XML", texts(xml, "software-information/host-name"), [args.hostname])
        parsed = json.loads(etree.fromstring(str(session.command(command="show version", format="json")).encode()).text)
        judge.equal("show version as JSON", parsed["software-information"][0]["host-name"][0]["data"], args.hostname)
        rpc = session.command(command="show interfaces terse | display xml rpc")
        judge.true("display xml rpc", "<get-interface-information>" in str(rpc))
        sets = session.command(command="show configuration system services | display set", format="text")
        judge.contains("display set", texts(sets, "output")[0], "set system services netconf ssh port 830")


def configuration(judge, args):
    with connect(args) as session:
        curly = session.get_configuration(format="text")
        judge.contains("text", texts(curly, "configuration-text")[0], f"host-name {args.hostname};")
        sets = session.get_configuration(format="set")
        judge.contains("set", texts(sets, "configuration-set")[0], f"set system host-name {args.hostname}")
        parsed = json.loads(etree.fromstring(str(session.get_configuration(format="json")).encode()).text)
        judge.equal("json", parsed["configuration"]["system"]["host-name"], args.hostname)
        filtered = new_ele("configuration")
        sub_ele(sub_ele(filtered, "system"), "ntp")
        servers = session.get_configuration(format="xml", filter=filtered)
        judge.equal("filter", texts(servers, "ntp/server/name"), ["192.0.2.123", "192.0.2.124"])
        patch = texts(session.compare_configuration(rollback=1), "configuration-output")[0]
        judge.contains("compare", patch, "[edit protocols bgp group transit]\n!   inactive: neighbor 198.51.100.13;")
        judge.equal("compare with itself", texts(session.compare_configuration(rollback=0), "configuration-output"), [""])
        inherited = session.rpc('<get-configuration inherit="inherit" database="committed"><configuration><interfaces><interface><name>ge-0/0/0</name><mtu/></interface></interfaces></configuration></get-configuration>')
        judge.equal("inherit", texts(inherited, "interface/mtu"), ["9192"])
        keys = session.rpc('<get-configuration><configuration><interfaces><interface recurse="false" start="2" count="2"/></interfaces></configuration></get-configuration>')
        judge.equal("start and count", len(texts(keys, "interface/name")), 2)
        judge.equal("identifiers only", texts(keys, "interface/unit"), [])
        matching = session.rpc("<get-configuration><configuration><interfaces matching=\"interface[name='^ge-.*']\"/></configuration></get-configuration>")
        judge.true("matching", all(name.startswith("ge-") for name in texts(matching, "interface/name")))


def errors(judge, args):
    with connect(args) as session:
        error = judge.raises("unknown request", RPCError, lambda: session.rpc("<get-nonsense/>"))
        judge.contains("its message", error.message, "syntax error")
        judge.contains("its element", str(error.info), "get-nonsense")
        error = judge.raises("unknown command", RPCError, lambda: session.command(command="show nonsense", format="text"))
        judge.contains("what was expected", error.message, "syntax error, expecting <command>")
        error = judge.raises("unknown interface", RPCError, lambda: session.rpc("<get-interface-information><interface-name>xe-9/9/9</interface-name></get-interface-information>"))
        judge.contains("not found", error.message, "xe-9/9/9 not found")
        judge.equal("the session goes on", texts(session.rpc("<get-software-information/>"), "host-name"), [args.hostname])


def default_handler(judge, args):
    """A client that knows nothing of Junos: namespaces as they came."""
    session = connect(args, device="default")
    data = session.get_config(source="running").data_ele
    judge.true("data element", data is not None and data.tag.endswith("}data"))
    judge.equal("host-name", texts(etree.tostring(data).decode(), "system/host-name"), [args.hostname])
    judge.true("closed in order", session.close_session().ok)


def main():
    args = arguments(__doc__)
    judge = Judge("ncclient")
    for part in [capabilities, logins, get_config, get, rpcs, commands, configuration, errors]:
        judge.part(part, args)
    if args.profile != "junos-old":
        # The default handler wants the base capability under its present name.
        judge.part(default_handler, args)
    judge.verdict()


if __name__ == "__main__":
    main()
