"""What the judges share: arguments, checks, and the report at the end.

A judge is a script that drives a device with somebody else's NETCONF client and says whether what came is right.
It ends with status 0 if every check held, and prints one line per check that did not.
"""

import argparse
import sys
import time
import traceback


def arguments(description):
    """The arguments of every judge."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="admin123")
    parser.add_argument("--key", help="private key that may log in as well")
    parser.add_argument("--hostname", default="mx1", help="name that the device should have")
    parser.add_argument(
        "--profile",
        default="junos",
        choices=["junos", "junos-old", "junos-rfc", "junos-rfc11", "rfc", "rfc-no-startup", "rfc-1.0", "rfc-running"],
        help="kind of server the device was started as",
    )
    return parser.parse_args()


def noticed_end(session, seconds=20):
    """Whether ncclient notices that its session was ended. An RPC that it sends while it notices waits for its whole
    timeout, because whom to tell was settled before."""
    end = time.monotonic() + seconds
    while session.connected and time.monotonic() < end:
        time.sleep(0.02)
    return not session.connected


class Judge:
    """Collects what held and what did not."""

    def __init__(self, name):
        self.name = name
        self.held = 0
        self.failures = []

    def equal(self, what, got, wanted):
        """`got` must be `wanted`."""
        if got == wanted:
            self.held += 1
        else:
            self.failures.append(f"{what}: got {got!r}, wanted {wanted!r}")

    def true(self, what, got):
        """`got` must be true; it is shown if it is not."""
        if got:
            self.held += 1
        else:
            self.failures.append(f"{what}: got {got!r}")

    def contains(self, what, text, part):
        """`part` must stand in `text`."""
        if part in (text or ""):
            self.held += 1
        else:
            self.failures.append(f"{what}: {part!r} is not in {text!r}")

    def raises(self, what, kind, action):
        """`action` must raise `kind`; the exception is handed back."""
        try:
            got = action()
        except kind as error:
            self.held += 1
            return error
        self.failures.append(f"{what}: no {kind.__name__}, but {got!r}")
        return None

    def part(self, action, *given):
        """Runs one part; an exception in it is a failure of that part, and the others go on."""
        try:
            action(self, *given)
        except Exception:  # noqa: BLE001 - a judge reports whatever happens
            self.failures.append(f"{action.__name__}: {traceback.format_exc()}")

    def verdict(self):
        """Prints the result and ends the process."""
        for failure in self.failures:
            print(f"{self.name}: {failure}", file=sys.stderr)
        print(f"{self.name}: {self.held} checks held, {len(self.failures)} did not")
        sys.exit(1 if self.failures or not self.held else 0)
