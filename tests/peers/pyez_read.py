#!/usr/bin/env python3
"""Reads from an emulated device with PyEZ (junos-eznc): facts, RPCs, CLI, configuration, tables, errors."""

import warnings

from jnpr.junos import Device
from jnpr.junos.exception import ConnectAuthError, RpcError
from jnpr.junos.op.ethport import EthPortTable
from jnpr.junos.utils.config import Config
from lxml import etree

from judge import Judge, arguments


def device(args, **more):
    given = {
        "host": args.host,
        "port": args.port,
        "user": args.user,
        "password": args.password,
        "gather_facts": False,
        "normalize": True,
        "auto_probe": 0,
    }
    given.update(more)
    return Device(**given)


def logins(judge, args):
    judge.raises("wrong password", ConnectAuthError, lambda: device(args, password="wrong").open())
    if args.key:
        with device(args, password=None, ssh_private_key_file=args.key) as router:
            judge.true("login by key", router.connected)


def facts(judge, args):
    """Every fact comes out, and those that say what the device is are right."""
    wanted = {
        "hostname": args.hostname,
        "model": "MX240",
        "version": "21.4R3-S5.4",
        "serialnumber": "JN1269A5BAFC",
        "fqdn": f"{args.hostname}.demo.example.net",
        "domain": "demo.example.net",
        "personality": "MX",
        "HOME": f"/var/home/{args.user}",
        "current_re": ["re0"],
        "master": "RE0",
        "2RE": False,
        "ifd_style": "CLASSIC",
        "switch_style": "NONE",
        "vc_capable": False,
        "vmhost": False,
        "srx_cluster": None,
        "model_info": {"re0": "MX240"},
        "hostname_info": {"re0": args.hostname},
    }
    with device(args) as router, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = {name: router.facts[name] for name in router.facts}
        for name, value in wanted.items():
            judge.equal(f"fact {name}", got.get(name), value)
        judge.equal("release", router.facts["version_info"].major, (21, 4))
        judge.equal("RE0", router.facts["RE0"]["status"], "OK")
        judge.true("uptime", router.uptime > 0)


def rpcs(judge, args):
    with device(args) as router:
        ports = router.rpc.get_interface_information(terse=True)
        names = [name.text for name in ports.findall("physical-interface/name")]
        judge.equal("ports", names, ["fxp0", "ge-0/0/0", "ge-0/0/1", "ge-0/0/2", "ge-0/0/3", "lo0"])
        down = ports.xpath("physical-interface[admin-status='down']/name/text()")
        judge.equal("the disabled one", list(down), ["ge-0/0/3"])
        one = router.rpc.get_interface_information(interface_name="ge-0/0/1.100", detail=True)
        judge.equal("a unit", one.findtext("logical-interface/address-family/interface-address/ifa-local"), "203.0.113.1")
        text = router.rpc.get_software_information({"format": "text"})
        judge.contains("text", text.text, "Junos: 21.4R3-S5.4")
        parsed = router.rpc.get_software_information({"format": "json"})
        judge.equal("json", parsed["software-information"][0]["junos-version"][0]["data"], "21.4R3-S5.4")


def cli(judge, args):
    with device(args) as router:
        judge.contains("text", router.cli("show version", warning=False), f"Hostname: {args.hostname}")
        judge.equal("xml", router.cli("show version", format="xml", warning=False).findtext("host-name"), args.hostname)
        judge.equal("the request of a command", router.display_xml_rpc("show chassis hardware").tag, "get-chassis-inventory")
        rpc = router.display_xml_rpc("show interfaces ge-0/0/0 terse", format="text")
        judge.contains("with arguments", rpc, "<interface-name>ge-0/0/0</interface-name>")
        judge.contains("configuration", router.cli("show configuration snmp", warning=False), 'location "rack 5, room 12";')
        judge.contains("users", router.cli("show system users", warning=False), "up")


def configuration(judge, args):
    with device(args) as router:
        part = router.rpc.get_config(filter_xml="system/login/user")
        judge.equal("by path", part.findtext("system/login/user/class"), "super-user")
        part = router.rpc.get_config(filter_xml=etree.XML("<configuration><system><ntp/></system></configuration>"))
        judge.equal("by filter", [s.text for s in part.findall("system/ntp/server/name")], ["192.0.2.123", "192.0.2.124"])
        committed = router.rpc.get_config(options={"database": "committed"})
        judge.equal("who committed", committed.get("commit-user"), "admin")
        text = router.rpc.get_config(options={"format": "text"}).text
        judge.contains("text", text, "autonomous-system 64501;")
        judge.contains("a list of values", text, "members [ 64501:100 64501:200 ];")
        judge.contains("inactive", text, "inactive: neighbor 198.51.100.13 {")
        sets = router.rpc.get_config(options={"format": "set"}).text
        judge.contains("set", sets, 'set interfaces ge-0/0/1 description "customer A & sons"')
        parsed = router.rpc.get_config(options={"format": "json"})
        judge.equal("json", parsed["configuration"]["system"]["host-name"], args.hostname)
        history = router.rpc.get_commit_information()
        judge.equal("comments", [log.text for log in history.findall("commit-history/log")], [
            "the backup transit is down for repairs",
            "prepare the port for B",
            "first configuration",
        ])
    # Blanks matter in a difference.
    with device(args, normalize=False) as router:
        config = Config(router)
        judge.contains("diff", config.diff(rb_id=2), "-  location \"rack 4, room 12\";\n+  location \"rack 5, room 12\";")
        judge.equal("no diff", config.diff(rb_id=0), None)


def tables(judge, args):
    """PyEZ's tables ask with options of their own and read by XPath."""
    with device(args) as router:
        ports = EthPortTable(router).get()
        judge.equal("ports of the table", sorted(ports.keys()), ["ge-0/0/0", "ge-0/0/1", "ge-0/0/2", "ge-0/0/3"])
        judge.equal("a field", ports["ge-0/0/0"].admin, "up")
        judge.equal("a description", ports["ge-0/0/0"].description, "to mx2 ge-0/0/0")


def errors(judge, args):
    with device(args) as router:
        error = judge.raises("unknown request", RpcError, lambda: router.rpc.get_nonsense())
        judge.contains("its message", error.message, "syntax error")
        judge.equal("its element", error.rpc_error["bad_element"], "get-nonsense")
        error = judge.raises("unknown command", RpcError, lambda: router.rpc.cli("show nonsense", format="xml"))
        judge.contains("expecting", error.message, "expecting <command>")
        judge.equal("the session goes on", router.rpc.get_software_information().findtext("host-name"), args.hostname)


def main():
    args = arguments(__doc__)
    judge = Judge("PyEZ")
    for part in [logins, facts, rpcs, cli, configuration, tables, errors]:
        judge.part(part, args)
    judge.verdict()


if __name__ == "__main__":
    main()
