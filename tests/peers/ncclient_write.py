#!/usr/bin/env python3
"""Configures an emulated device with ncclient, as a Junos device and as a plain RFC 6241 server."""

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

from judge import Judge, arguments, noticed_end

CONFIG = '<config><configuration xmlns="{ns}">{inside}</configuration></config>'


def connect(args, handler):
    return manager.connect(
        host=args.host,
        port=args.port,
        username=args.user,
        password=args.password,
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
        timeout=20,
        device_params={"name": handler},
    )


def namespace(args):
    return "urn:example:router" if args.profile.startswith("rfc") else "http://xml.juniper.net/xnm/1.1/xnm"


def config(args, inside):
    return CONFIG.format(ns=namespace(args), inside=inside)


def value(session, source, *names):
    """The text of the leaf at a path of local names, in a datastore."""
    root = etree.fromstring(session.get_config(source=source).data_xml.encode())
    steps = "/".join(f"*[local-name()='{name}']" for name in names)
    found = root.xpath(f".//{steps}/text()")
    return found[0].strip() if found else None


def done(reply):
    """Whether a reply says ok, whichever class the handler makes of it."""
    return etree.fromstring(str(reply).encode()).xpath("boolean(//*[local-name()='ok'])")


def location(text):
    return f"<snmp><location>{text}</location></snmp>"


def edit_and_commit(judge, args, handler):
    """Lock, edit, validate, commit, unlock; the running configuration is what was sent."""
    with connect(args, handler) as session:
        before = value(session, "running", "snmp", "location")
        with session.locked("candidate"):
            session.edit_config(config(args, location(f"row {handler}")), target="candidate")
            judge.equal("the candidate has it", value(session, "candidate", "snmp", "location"), f"row {handler}")
            judge.equal("running has not", value(session, "running", "snmp", "location"), before)
            judge.true("validate", done(session.validate("candidate")))
            judge.true("commit", done(session.commit()))
        judge.equal("running has it", value(session, "running", "snmp", "location"), f"row {handler}")


def operations(judge, args, handler):
    """default-operation, the operations of elements, and what the options refuse."""
    nc = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
    with connect(args, handler) as session, session.locked("candidate"):
        session.edit_config(config(args, "<snmp><contact>me</contact></snmp>"), default_operation="merge")
        only = f'<snmp {nc}><contact nc:operation="delete">me</contact><location>elsewhere</location></snmp>'
        session.edit_config(config(args, only), default_operation="none")
        judge.equal("deleted", value(session, "candidate", "snmp", "contact"), None)
        judge.true("not merged", value(session, "candidate", "snmp", "location") != "elsewhere")
        replaced = f'<snmp {nc} nc:operation="replace"><contact>you</contact></snmp>'
        session.edit_config(config(args, replaced))
        judge.equal("replaced", value(session, "candidate", "snmp", "contact"), "you")
        judge.equal("and nothing else left", value(session, "candidate", "snmp", "location"), None)
        error = judge.raises("unknown statement", RPCError, lambda: session.edit_config(config(args, "<system><hostname>x</hostname></system>")))
        if args.profile.startswith("rfc"):
            judge.equal("its tag", error.tag, "unknown-element")
            judge.equal("its element", "<bad-element>hostname</bad-element>" in error.info, True)
            again = f'<snmp {nc} nc:operation="create"><contact>they</contact></snmp>'
            error = judge.raises("create again", RPCError, lambda: session.edit_config(config(args, again)))
            judge.equal("data-exists", error.tag, "data-exists")
            error = judge.raises("rolled back", RPCError, lambda: session.edit_config(
                config(args, f'<system><domain-name>gone.example</domain-name></system><snmp {nc} nc:operation="create"/>'),
                error_option="rollback-on-error"))
            judge.true("as if never sent", value(session, "candidate", "system", "domain-name") != "gone.example")
            judge.true("test only", done(session.edit_config(config(args, location("tried")), test_option="test-only")))
            judge.equal("leaves no trace", value(session, "candidate", "snmp", "location"), None)
        else:
            judge.contains("its message", error.message, "syntax error")
        session.discard_changes()
        judge.equal("discarded", value(session, "candidate", "snmp", "contact"), value(session, "running", "snmp", "contact"))


def locks(judge, args, handler):
    """A lock is had by one session; the other is told, and may kill."""
    holder = connect(args, handler)
    with connect(args, handler) as other:
        holder.lock("candidate")
        error = judge.raises("second lock", RPCError, lambda: other.lock("candidate"))
        judge.contains("who holds it", error.message, f"(pid {holder.session_id})")
        if args.profile.startswith("rfc"):
            judge.equal("lock-denied", error.tag, "lock-denied")
            judge.contains("session", error.info, f"<session-id>{holder.session_id}</session-id>")
        judge.raises("edit of another", RPCError, lambda: other.edit_config(config(args, location("theirs"))))
        judge.raises("commit of another", RPCError, lambda: other.commit())
        holder.edit_config(config(args, location("never")))
        judge.true("kill", done(other.kill_session(holder.session_id)))
        judge.true("the killed one is gone", noticed_end(holder))
        judge.true("the lock is free", done(other.lock("candidate")))
        judge.true("what was edited under it is gone", value(other, "candidate", "snmp", "location") != "never")
        judge.true("unlock", done(other.unlock("candidate")))
        judge.raises("unlock twice", RPCError, lambda: other.unlock("candidate"))
        judge.raises("no such session", RPCError, lambda: other.kill_session("4"))
        # Leftovers in the shared candidate are in everybody's way.
        other.edit_config(config(args, location("leftover")))
        error = judge.raises("lock of a changed candidate", RPCError, lambda: other.lock("candidate"))
        judge.contains("why", error.message, "configuration database modified")
        other.discard_changes()
        judge.true("clean again", done(other.lock("candidate")))


def copies(judge, args, handler):
    """copy-config and delete-config, as far as the device has what they need."""
    with connect(args, handler) as session:
        if args.profile.startswith("rfc"):
            session.edit_config(config(args, location("to be saved")))
            session.commit()
            judge.true("not saved yet", value(session, "startup", "snmp", "location") != "to be saved")
            judge.true("copy running to startup", done(session.copy_config(source="running", target="startup")))
            judge.equal("saved", value(session, "startup", "snmp", "location"), "to be saved")
            judge.true("delete startup", done(session.delete_config("startup")))
            judge.equal("nothing left", value(session, "startup", "snmp", "location"), None)
        else:
            session.edit_config(config(args, location("on loan")))
            judge.true("copy running to candidate", done(session.copy_config(source="running", target="candidate")))
            judge.true("as running", value(session, "candidate", "snmp", "location") != "on loan")
            judge.true("copy to a file", done(session.copy_config(source="running", target="file:///var/tmp/saved.xml")))
            judge.true("delete candidate", done(session.delete_config("candidate")))
            judge.equal("empty", value(session, "candidate", "system", "host-name"), None)
            judge.true("copy from a file", done(session.copy_config(source="file:///var/tmp/saved.xml", target="candidate")))
            judge.equal("back", value(session, "candidate", "system", "host-name"), args.hostname)
            judge.true("delete the file", done(session.delete_config("file:///var/tmp/saved.xml")))
            session.discard_changes()
        judge.raises("delete running", RPCError, lambda: session.delete_config("running"))
        judge.raises("edit running", RPCError, lambda: session.edit_config(config(args, location("x")), target="running"))
        judge.raises("copy to running", RPCError, lambda: session.copy_config(source="candidate", target="running"))


def refused_commit(judge, args, handler):
    """A commit that cannot be done says why, and nothing has changed."""
    with connect(args, handler) as session:
        user = "<system><login><user><name>bob</name></user></login></system>"
        session.edit_config(config(args, user))
        error = judge.raises("validate", RPCError, lambda: session.validate("candidate"))
        judge.contains("why", str(error.message), "Missing mandatory statement: 'class'")
        error = judge.raises("commit", RPCError, lambda: session.commit())
        errors = error.errlist or [error]
        judge.contains("all of it", " ".join(str(each.message) for each in errors), "Missing mandatory statement: 'class'")
        session.discard_changes()
        judge.true("running is as it was", "bob" not in session.get_config("running").data_xml)


def junos_operations(judge, args):
    """What ncclient's Junos handler adds: load, compare, rollback, commits with comments, checks and times."""
    with connect(args, "junos") as session:
        session.lock("candidate")
        session.load_configuration(action="set", config=["set snmp location a", "set snmp contact b"])
        session.load_configuration(format="text", config="system { domain-name c.example; }")
        session.load_configuration(format="xml", config=to_ele("<system><time-zone>Europe/Berlin</time-zone></system>"))
        session.load_configuration(format="json", config='{"configuration": {"snmp": {"contact": "d"}}}')
        patch = str(session.compare_configuration(rollback=0))
        for line in ["location a;", "+  contact d;" if "-  contact" in patch else "contact d;", "domain-name c.example;", "time-zone Europe/Berlin;"]:
            judge.contains("compare", patch, line)
        error = judge.raises("unknown statement", RPCError, lambda: session.load_configuration(action="set", config="set system hostname x"))
        judge.contains("its message", error.message, "syntax error")
        judge.contains("its level", error.path, "[edit system]")
        judge.true("check", session.commit(check=True).tostring is not None)
        session.commit(comment="by ncclient")
        history = str(session.rpc("<get-commit-information/>"))
        judge.contains("comment", history, "<log>by ncclient</log>")
        judge.contains("client", history, "<client>netconf</client>")
        session.rollback(rollback=1)
        session.commit(comment="and back")
        judge.true("rolled back", value(session, "running", "snmp", "contact") != "d")
        session.load_configuration(action="set", config="set snmp contact later")
        scheduled = str(session.commit(at_time="23:59:59"))
        judge.contains("at", scheduled, "commit at will be executed at")
        judge.contains("pending", str(session.rpc("<get-commit-information/>")), "commit requested by")
        judge.contains("cleared", str(session.rpc("<clear-system-commit/>")), "Pending commit cleared.")
        session.unlock("candidate")
        # Private copies beside each other.
        session.rpc("<open-configuration><private/></open-configuration>")
        session.load_configuration(action="set", config="set snmp contact mine")
        with connect(args, "junos") as other:
            other.rpc("<open-configuration><private/></open-configuration>")
            other.load_configuration(action="set", config="set snmp location theirs")
            other.commit()
            other.rpc("<close-configuration/>")
        session.commit()
        session.rpc("<close-configuration/>")
        judge.equal("both are there", [value(session, "running", "snmp", name) for name in ("contact", "location")], ["mine", "theirs"])


def running_only(judge, args):
    """A server without candidate: edits act at once, on a locked running configuration."""
    with connect(args, "default") as session, connect(args, "default") as other:
        judge.equal("no candidate", ":candidate" in session.server_capabilities, False)
        with session.locked("running"):
            error = judge.raises("second lock", RPCError, lambda: other.lock("running"))
            judge.equal("lock-denied", error.tag, "lock-denied")
            error = judge.raises("edit of another", RPCError, lambda: other.edit_config(config(args, location("x")), target="running"))
            judge.true("in words", error.message)
            judge.true("edit", done(session.edit_config(config(args, location("at once")), target="running")))
        judge.equal("it is there", value(other, "running", "snmp", "location"), "at once")
        error = judge.raises("candidate", RPCError, lambda: session.edit_config(config(args, location("x")), target="candidate"))
        judge.equal("not there", error.tag, "invalid-value")
        user = "<system><login><user><name>bob</name></user></login></system>"
        judge.raises("invalid", RPCError, lambda: session.edit_config(config(args, user), target="running"))
        judge.true("and not applied", "bob" not in session.get_config("running").data_xml)


def main():
    args = arguments(__doc__)
    judge = Judge(f"ncclient writes ({args.profile})")
    if args.profile == "rfc-running":
        judge.part(running_only, args)
        judge.verdict()
    handlers = ["default"] if args.profile.startswith("rfc") else ["junos", "default"]
    for handler in handlers:
        for part in [edit_and_commit, operations, locks, copies, refused_commit]:
            judge.part(part, args, handler)
    if "junos" in handlers:
        judge.part(junos_operations, args)
    judge.verdict()


if __name__ == "__main__":
    main()
