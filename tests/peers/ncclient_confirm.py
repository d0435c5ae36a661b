#!/usr/bin/env python3
"""Confirmed commits with ncclient, on an emulated Junos device and on plain servers of RFC 6241 and RFC 4741."""

import select
import time

from ncclient.operations import RPCError
from ncclient.operations.errors import MissingCapabilityError

from judge import Judge, arguments
from ncclient_write import config, connect, done, value

SECONDS = 15


def contact(session):
    return value(session, "running", "snmp", "contact")


def edit(args, session, text):
    session.edit_config(config(args, f"<snmp><contact>{text}</contact></snmp>"))


def until(session, wanted):
    """Whether this is running within a while."""
    end = time.monotonic() + SECONDS
    while contact(session) != wanted:
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.2)
    return True


def seconds(judge, args):
    """Seconds on the wire; nobody confirms, and what was before comes back."""
    with connect(args, "default") as session:
        before = contact(session)
        edit(args, session, "tried")
        judge.true("commit", done(session.commit(confirmed=True, timeout="2")))
        judge.equal("it is there", contact(session), "tried")
        judge.true("and undone", until(session, before))
        edit(args, session, "stays")
        judge.true("commit", done(session.commit(confirmed=True, timeout="2")))
        judge.true("extend", done(session.commit(confirmed=True, timeout="600")))
        judge.true("confirm", done(session.commit()))
        judge.equal("stays", contact(session), "stays")
        error = judge.raises("no time", RPCError, lambda: session.commit(confirmed=True, timeout="0"))
        judge.contains("refused", error.info, "<bad-element>confirm-timeout</bad-element>")


def others(judge, args):
    """While one waits, others neither commit nor lock what is running; the end of its session undoes it."""
    with connect(args, "default") as other:
        before = contact(other)
        with connect(args, "default") as session:
            edit(args, session, "bound")
            session.commit(confirmed=True, timeout="600")
            for what, action in [("commit", other.commit), ("lock", lambda: other.lock("running"))]:
                error = judge.raises(f"{what} of another", RPCError, action)
                judge.equal("in-use", [error.type, error.tag], ["protocol", "in-use"])
                judge.equal("which means", error.app_tag, "outstanding-confirmed-commit")
            judge.equal("it is there", contact(other), "bound")
        judge.true("gone with its session", until(other, before))
        killed = connect(args, "default")
        edit(args, killed, "killed")
        killed.commit(confirmed=True, timeout="600")
        judge.true("kill", done(other.kill_session(killed.session_id)))
        judge.equal("gone", contact(other), before)
        other.discard_changes()
        judge.true("commit again", done(other.commit()))


def tokens(judge, args):
    """A token survives its session; other sessions confirm and cancel by it."""
    with connect(args, "default") as other:
        before = contact(other)
        for text, confirms in [("cancelled", False), ("confirmed", True)]:
            with connect(args, "default") as session:
                edit(args, session, text)
                judge.true("commit", done(session.commit(confirmed=True, timeout="600", persist="a token")))
            judge.equal("its session is gone, it is there", contact(other), text)
            judge.equal("no token", judge.raises("commit", RPCError, other.commit).tag, "in-use")
            wrong = judge.raises("commit", RPCError, lambda: other.commit(persist_id="another"))
            judge.equal("wrong token", wrong.tag, "invalid-value")
            judge.raises("cancel without", RPCError, other.cancel_commit)
            act = other.commit if confirms else other.cancel_commit
            judge.true("the token", done(act(persist_id="a token")))
            judge.equal("so", contact(other), text if confirms else before)
        wrong = judge.raises("nothing waits", RPCError, lambda: other.commit(persist_id="a token"))
        judge.equal("late", wrong.tag, "invalid-value")
        with connect(args, "default") as session:
            edit(args, session, "mine")
            session.commit(confirmed=True, timeout="600")
            judge.true("cancel one's own", done(session.cancel_commit()))
            judge.equal("undone", contact(session), "confirmed")


def without_tokens(judge, args):
    """confirmed-commit:1.0 knows no tokens and no cancel."""
    with connect(args, "default") as session:
        edit(args, session, "token")
        error = judge.raises("token", RPCError, lambda: session.commit(confirmed=True, persist="t"))
        judge.equal("unknown", error.tag, "unknown-element")
        judge.raises("cancel", (RPCError, MissingCapabilityError), session.cancel_commit)
        session.discard_changes()


def junos(judge, args):
    """ncclient makes minutes of seconds for Junos; its plain form does not, and what is less than one is none."""
    with connect(args, "junos") as session:
        before = contact(session)
        session.load_configuration(action="set", config="set snmp contact minutes")
        session.commit(confirmed=True, timeout="61", comment="trial")
        history = str(session.rpc("<get-commit-information/>"))
        judge.contains("rounded up", history, "<comment>commit confirmed, rollback in 2mins</comment>")
        judge.contains("waits", history, "<commit-confirmed>rollback pending</commit-confirmed>")
        judge.raises("no such operation", RPCError, session.cancel_commit)
        session.commit(check=True)
        history = str(session.rpc("<get-commit-information/>"))
        judge.true("confirmed by a check", "rollback pending" not in history)
        judge.equal("stays", contact(session), "minutes")
    with connect(args, "default") as session:
        edit(args, session, "seconds")
        judge.true("twenty seconds", done(session.commit(confirmed=True, timeout="20")))
        judge.equal("are no time", contact(session), "minutes")
        edit(args, session, "seconds")
        judge.true("a minute", done(session.commit(confirmed=True, timeout="60")))
        judge.equal("is one", contact(session), "seconds")
        with connect(args, "default") as other:
            judge.true("anybody confirms", done(other.commit()))
        edit(args, session, before or "before")
        session.commit()


def main():
    args = arguments(__doc__)
    judge = Judge(f"ncclient confirms ({args.profile})")
    parts = {"junos": [junos], "rfc-1.0": [seconds, others, without_tokens]}
    for part in parts.get(args.profile, [seconds, others, tokens]):
        judge.part(part, args)
    judge.verdict()


if __name__ == "__main__":
    main()
