#!/usr/bin/env python3
"""Confirmed commits on an emulated Junos device with PyEZ: what confirms them, what undoes them, what the history says."""

import warnings

from jnpr.junos import Device
from jnpr.junos.exception import CommitError
from jnpr.junos.utils.config import Config

from judge import Judge, arguments

warnings.simplefilter("ignore")


def device(args):
    return Device(host=args.host, port=args.port, user=args.user, password=args.password, gather_facts=False, auto_probe=0)


def contact(router):
    found = router.rpc.get_config(filter_xml="snmp/contact", options={"database": "committed"})
    text = found.findtext("snmp/contact")
    return text.strip() if text else None


def newest(router):
    """The newest entry of the history: who, through what, the comment, the remark, and whether it waits."""
    entry = router.rpc.get_commit_information().find("commit-history")
    return [entry.findtext(name) for name in ("user", "client", "log", "comment", "commit-confirmed")]


def waiting(args, comment, minutes):
    return [args.user, "netconf", comment, f"commit confirmed, rollback in {minutes}mins", "rollback pending"]


def minutes(judge, args):
    """The timeout is minutes, ten of them where nothing is said."""
    with device(args) as router:
        config = Config(router)
        config.load("set snmp contact tried", format="set")
        judge.equal("commit", config.commit(confirm=2, comment="trial"), True)
        judge.equal("it is there", contact(router), "tried")
        judge.equal("and waits", newest(router), waiting(args, "trial", 2))
        judge.equal("again", config.commit(confirm=True, comment="longer"), True)
        judge.equal("ten minutes", newest(router), waiting(args, "longer", 10))
        judge.equal("confirmed", config.commit(comment="stays"), True)
        judge.equal("stays", newest(router), [args.user, "netconf", "stays", None, None])
        detail = config.commit(confirm=1, detail=True)
        told = detail.findtext(".//output")
        judge.equal("told", told, "commit confirmed will be automatically rolled back in 1 minutes unless confirmed")
        config.commit()


def checks(judge, args):
    """A check confirms, of the same session and of another; one that fails does not."""
    with device(args) as router, device(args) as other:
        config = Config(router)
        for number, by in enumerate([config, Config(other)]):
            config.load(f"set snmp contact check{number}", format="set")
            config.commit(confirm=5, comment="trial")
            config.load("set system login user bob uid 2100", format="set")
            judge.raises("a check that fails", CommitError, by.commit_check)
            judge.equal("still waits", newest(router), waiting(args, "trial", 5))
            config.rollback(0)
            judge.equal("check", by.commit_check(), True)
            judge.equal("no longer waits", newest(router)[3:], ["commit confirmed, rollback in 5mins", None])
            judge.equal("stays", contact(router), f"check{number}")


def private(judge, args):
    """Any commit confirms, also one of a private copy, in which none can wait."""
    with device(args) as router, device(args) as other:
        config = Config(router)
        config.load("set snmp contact private", format="set")
        config.commit(confirm=5)
        with Config(other, mode="private") as copy:
            copy.load("set snmp location elsewhere", format="set")
            error = judge.raises("confirmed", CommitError, lambda: copy.commit(confirm=5))
            judge.contains("why not", error.message, "commit confirmed not supported for private configuration")
            judge.equal("still waits", newest(router)[4], "rollback pending")
            judge.equal("commit", copy.commit(comment="other"), True)
        judge.equal("confirmed by it", newest(router)[2:], ["other", None, None])
        judge.equal("stays", contact(router), "private")


def ends(judge, args):
    """An orderly end of the session leaves the timer alone; a kill undoes the commit."""
    with device(args) as router:
        before = contact(router)
        with device(args) as first:
            Config(first).load("set snmp contact left", format="set")
            Config(first).commit(confirm=5)
        judge.equal("closed: it is there", contact(router), "left")
        judge.equal("and waits", newest(router)[4], "rollback pending")
        Config(router).commit_check()
        judge.equal("confirmed by a later session", newest(router)[4], None)
        killed = device(args).open()
        Config(killed).load("set snmp contact killed", format="set")
        Config(killed).commit(confirm=5)
        router.rpc.kill_session(session_id=killed._conn.session_id)
        judge.equal("killed: undone", contact(router), "left")
        judge.equal("by the device", newest(router), ["root", "other", None, None, None])
        Config(router).load(f"set snmp contact {before}" if before else "delete snmp contact", format="set")
        Config(router).commit()


def main():
    args = arguments(__doc__)
    judge = Judge("PyEZ confirms")
    for part in [minutes, checks, private, ends]:
        judge.part(part, args)
    judge.verdict()


if __name__ == "__main__":
    main()
