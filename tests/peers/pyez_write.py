#!/usr/bin/env python3
"""Configures an emulated Junos device with PyEZ: every format and mode of its Config, diffs, commits, rescue."""

import warnings

from jnpr.junos import Device
from jnpr.junos.exception import CommitError, ConfigLoadError, LockError, RpcError, UnlockError
from jnpr.junos.utils.config import Config
from lxml import etree

from judge import Judge, arguments

warnings.simplefilter("ignore")


def device(args):
    return Device(
        host=args.host,
        port=args.port,
        user=args.user,
        password=args.password,
        gather_facts=False,
        auto_probe=0,
    )


def leaf(router, path, database="committed"):
    """The text of a leaf of the configuration."""
    found = router.rpc.get_config(filter_xml=path, options={"database": database})
    text = found.findtext(path)
    return text.strip() if text else None


def formats(judge, args):
    """Set, text, XML and JSON load the same; the difference is the same."""
    loads = [
        ("set", "set system domain-name pyez.example\nset interfaces ge-0/0/2 description loaded"),
        ("text", "system { domain-name pyez.example; }\ninterfaces { ge-0/0/2 { description loaded; } }"),
        (
            "xml",
            "<configuration><system><domain-name>pyez.example</domain-name></system><interfaces><interface>"
            "<name>ge-0/0/2</name><description>loaded</description></interface></interfaces></configuration>",
        ),
        (
            "json",
            '{"configuration": {"system": {"domain-name": "pyez.example"}, "interfaces": {"interface": '
            '[{"name": "ge-0/0/2", "description": "loaded"}]}}}',
        ),
    ]
    with device(args) as router:
        config = Config(router)
        for form, data in loads:
            config.load(data, format=form, merge=form != "set")
            diff = config.diff() or ""
            judge.contains(f"{form}: description", diff, '[edit interfaces ge-0/0/2]\n-  description "customer B";\n+  description loaded;\n')
            judge.contains(f"{form}: domain", diff, "domain-name pyez.example;\n")
            judge.equal(f"{form}: check", config.commit_check(), True)
            judge.equal(f"{form}: rollback", config.rollback(0), True)
            judge.equal(f"{form}: no difference", config.diff(), None)


def actions(judge, args):
    """merge adds, replace takes the place of what is marked, override and update of all, patch follows a difference."""
    with device(args) as router:
        config = Config(router)
        servers = "system { replace: ntp { server 192.0.2.7; } }"
        config.load(servers, format="text")
        judge.contains("replace", config.diff(), "-   server 192.0.2.123")
        config.rollback(0)
        config.load(servers, format="text", merge=True)
        judge.true("merge keeps", "192.0.2.123" not in config.diff())
        config.rollback(0)
        config.load("system { host-name alone; }", format="text", overwrite=True)
        judge.equal("override leaves nothing else", leaf(router, "snmp/location", "candidate"), None)
        judge.equal("override", leaf(router, "system/host-name", "candidate"), "alone")
        config.rollback(0)
        text = router.rpc.get_config(options={"format": "text"}).text
        config.load(text.replace("host-name mx1;", "host-name mx9;"), format="text", update=True)
        judge.equal("update", config.diff(), "\n[edit system]\n-  host-name mx1;\n+  host-name mx9;\n")
        diff = config.diff()
        config.rollback(0)
        config.load(diff, format="text", patch=True)
        judge.equal("patch", config.diff(), diff)
        config.rollback(0)
        commands = "deactivate snmp\nrename interfaces ge-0/0/2 to ge-0/0/9\nset system ntp server 192.0.2.7\ndelete system ntp server 192.0.2.123"
        config.load(commands, format="set")
        diff = config.diff()
        judge.contains("deactivate", diff, "[edit]\n!   inactive: snmp;\n")
        judge.contains("rename", diff, "+   ge-0/0/9 {")
        judge.contains("delete", diff, "-   server 192.0.2.123")
        config.rollback(0)
        moved = "insert protocols bgp group transit before group internal"
        config.load(moved, format="set")
        judge.contains("insert", config.diff(), "[edit protocols bgp]\n!    group transit { ... }\n")
        config.rollback(0)


def errors(judge, args):
    """What cannot be loaded is told with its level; what cannot be committed with its reason."""
    with device(args) as router:
        config = Config(router)
        error = judge.raises("unknown statement", ConfigLoadError, lambda: config.load("set system hostname x", format="set"))
        judge.contains("its message", error.message, "syntax error")
        judge.equal("its element", error.errs[0]["bad_element"], "hostname")
        judge.equal("its level", error.errs[0]["edit_path"], "[edit system]")
        error = judge.raises("half of it", ConfigLoadError, lambda: config.load("system { domain-name half.example; nonsense; }", format="text", merge=True))
        judge.contains("what could be loaded was", config.diff(), "domain-name half.example;")
        config.rollback(0)
        error = judge.raises("not there", ConfigLoadError, lambda: config.load("delete system login user nobody", format="set"))
        judge.equal("is a warning", error.errs[0]["severity"], "warning")
        judge.true("and can be passed over", config.load("delete system login user nobody", format="set", ignore_warning="statement not found") is not None)
        config.load("set system login user bob uid 2100", format="set")
        error = judge.raises("check", CommitError, config.commit_check)
        judge.contains("why", error.message, "Missing mandatory statement: 'class'")
        error = judge.raises("commit", CommitError, lambda: config.commit(comment="never"))
        messages = [each["message"] for each in error.errs]
        judge.equal("all reasons in order", messages, ["Missing mandatory statement: 'class'", "configuration check-out failed: (missing mandatory statements)"])
        judge.equal("and where", error.errs[0]["edit_path"], "[edit system login]")
        config.rollback(0)
        config.load("protect snmp", format="set")
        error = judge.raises("protected", ConfigLoadError, lambda: config.load("set snmp location x", format="set"))
        judge.contains("is protected", error.message, "[snmp] is protected, 'location x' cannot be changed")
        config.rollback(0)
        judge.equal("nothing is left", config.diff(), None)


def commits(judge, args):
    """Commits with comments, detail and revision; rollbacks; the history."""
    with device(args) as router:
        config = Config(router)
        before = leaf(router, "snmp/location")
        config.lock()
        config.load("set snmp location committed", format="set")
        judge.equal("commit", config.commit(comment="by PyEZ"), True)
        config.unlock()
        judge.equal("running", leaf(router, "snmp/location"), "committed")
        newest = router.rpc.get_commit_information().find("commit-history")
        judge.equal("comment", newest.findtext("log"), "by PyEZ")
        judge.equal("user", newest.findtext("user"), args.user)
        judge.equal("client", newest.findtext("client"), "netconf")
        judge.contains("diff with the one before", config.diff(rb_id=1), "+  location committed;")
        config.rollback(1)
        detail = config.commit(detail=True, sync=True)
        judge.equal("member", detail.findtext(".//routing-engine/name"), "re0")
        judge.true("success", detail.find(".//commit-success") is not None)
        revision = detail.findtext(".//new-db-revision")
        judge.equal("revision", router.rpc.get_commit_revision_information().findtext("revision"), revision)
        judge.equal("back", leaf(router, "snmp/location"), before)
        judge.raises("rollback of what is not there", RpcError, lambda: config.rollback(49))


def rescue(judge, args):
    with device(args) as router:
        config = Config(router)
        judge.equal("delete", config.rescue("delete"), True)
        judge.equal("none", config.rescue("get"), None)
        judge.equal("reload of none", config.rescue("reload"), False)
        judge.equal("save", config.rescue("save"), True)
        judge.contains("get", config.rescue("get"), f"host-name {args.hostname};")
        judge.equal("get as XML", config.rescue("get", format="xml").findtext(".//system/host-name"), args.hostname)
        config.load("set system host-name wrong", format="set")
        judge.true("reload", config.rescue("reload") is not False)
        judge.equal("as it was", config.diff(), None)


def locks(judge, args):
    with device(args) as one, device(args) as two:
        first, second = Config(one), Config(two)
        first.lock()
        error = judge.raises("second lock", LockError, second.lock)
        judge.contains("who", error.message, "configuration database locked by:")
        judge.contains("since", error.message, "exclusive [edit]")
        judge.raises("load of another", ConfigLoadError, lambda: second.load("set snmp contact x", format="set"))
        first.load("set snmp contact uncommitted", format="set")
        first.unlock()
        judge.equal("gone with the lock", second.diff(), None)
        judge.raises("unlock twice", UnlockError, first.unlock)
        second.load("set snmp contact leftover", format="set")
        error = judge.raises("changed by another", LockError, first.lock)
        judge.contains("why", error.message, "configuration database modified")
        second.rollback(0)
        judge.equal("clean", first.lock(), True)


def modes(judge, args):
    """The context managers: exclusive, private beside each other, dynamic, batch, ephemeral."""
    with device(args) as router, device(args) as other:
        with Config(router, mode="exclusive") as config:
            config.load("set snmp contact exclusive", format="set")
            config.commit()
        judge.equal("exclusive", leaf(router, "snmp/contact"), "exclusive")
        with Config(router, mode="private") as mine, Config(other, mode="private") as theirs:
            mine.load("set snmp contact private", format="set")
            theirs.load("set snmp location private", format="set")
            judge.equal("each has its own", mine.diff(), "\n[edit snmp]\n-  contact exclusive;\n+  contact private;\n")
            mine.commit()
            theirs.commit()
        judge.equal("both", [leaf(router, "snmp/contact"), leaf(router, "snmp/location")], ["private", "private"])
        with Config(router, mode="private") as config:
            config.load("set snmp contact discarded", format="set")
        judge.equal("discarded", leaf(router, "snmp/contact"), "private")
        with Config(router, mode="batch") as config:
            config.load("set snmp contact batch", format="set")
            config.commit()
        judge.equal("batch", leaf(router, "snmp/contact"), "batch")
        for mode, given in [("dynamic", {}), ("ephemeral", {}), ("ephemeral", {"ephemeral_instance": "fast"})]:
            if given:
                Config(router).load("set system configuration-database ephemeral instance fast", format="set")
                Config(router).commit()
            history = len(router.rpc.get_commit_information().findall("commit-history"))
            with Config(router, mode=mode, **given) as config:
                config.load(f"set snmp contact {mode}", format="set")
                judge.equal(f"{mode}: commit", config.commit(), True)
                judge.equal(f"{mode}: there", leaf(router, "snmp/contact", "candidate"), mode)
            judge.equal(f"{mode}: not here", leaf(router, "snmp/contact"), "batch")
            judge.equal(f"{mode}: no history", len(router.rpc.get_commit_information().findall("commit-history")), history)
        judge.raises("no such instance", RpcError, lambda: Config(router, mode="ephemeral", ephemeral_instance="none").__enter__())


def attributes(judge, args):
    """What only XML can say."""
    with device(args) as router:
        config = Config(router)
        config.load(etree.XML('<configuration><snmp><location delete="delete"/><contact inactive="inactive">x</contact></snmp></configuration>'), merge=True)
        diff = config.diff()
        judge.contains("delete", diff, "-   location ")
        judge.contains("inactive", diff, "inactive: contact x;")
        config.rollback(0)
        config.load(etree.XML('<configuration><interfaces replace-pattern="customer" with="client"/></configuration>'), merge=True)
        judge.contains("replace-pattern", config.diff(), '+  description "client B";')
        config.rollback(0)
        protected = '<configuration><snmp protect="protect"/></configuration>'
        config.load(etree.XML(protected), merge=True)
        judge.contains("protect", config.diff(), "[edit]\n!   protect: snmp;\n")
        config.rollback(0)


def main():
    args = arguments(__doc__)
    judge = Judge("PyEZ writes")
    for part in [formats, actions, errors, commits, rescue, locks, modes, attributes]:
        judge.part(part, args)
    judge.verdict()


if __name__ == "__main__":
    main()
