"""A change of one interface: in one call, and by hand with the clients that people use, taking turns on one emulator.

    pip install ncclient junos-eznc
    cargo bench --bench gateway -- hands python3 benches/peers/change.py

By hand means over one open session: lock, load, check, compare, commit, unlock. Prints medians of the rounds in
milliseconds, and the ratio of the one call to each.
"""

import http.client
import json
import os
import statistics
import time

from jnpr.junos import Device
from jnpr.junos.utils.config import Config
from lxml import etree
from ncclient import manager

ROUNDS = 15
CHANGES = 10
PORT = int(os.environ["EMULATOR_PORT"])
LOGIN = {"host": "127.0.0.1", "port": PORT}


def interface(number):
    return (f"<interfaces><interface><name>ge-0/0/1</name><description>number {number}</description></interface>"
            "</interfaces>")


class OneCall:
    """`POST /v1/devices/fake/changes`."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(os.environ["GATEWAY"])

    def __call__(self, number):
        edit = {"interfaces": {"interface": [{"name": "ge-0/0/1", "description": f"number {number}"}]}}
        body = {"edits": [{"config": edit}], "commit": {"comment": "bench"}}
        self.connection.request("POST", "/v1/devices/fake/changes", json.dumps(body),
                                {"Content-Type": "application/json"})
        answer = json.loads(self.connection.getresponse().read())
        assert answer["state"] == "committed", answer


class Ncclient:
    """ncclient with its handler for Junos."""

    def __init__(self):
        self.session = manager.connect(username="bench", password="bench", hostkey_verify=False, allow_agent=False,
                                       look_for_keys=False, device_params={"name": "junos"}, **LOGIN)

    def __call__(self, number):
        session = self.session
        session.lock("candidate")
        session.load_configuration(format="xml", config=etree.fromstring(interface(number)))
        session.commit(check=True)
        difference = session.compare_configuration(rollback=0)
        assert f"number {number}" in difference.tostring.decode(), difference
        session.commit(comment="bench")
        session.unlock("candidate")


class Pyez:
    """junos-eznc."""

    def __init__(self):
        device = Device(user="bench", passwd="bench", gather_facts=False, **LOGIN)
        device.open()
        self.config = Config(device)

    def __call__(self, number):
        config = self.config
        config.lock()
        config.load(f"<configuration>{interface(number)}</configuration>", format="xml")
        assert config.commit_check()
        assert f"number {number}" in config.diff()
        assert config.commit(comment="bench")
        config.unlock()


def main():
    ways = {"one call": OneCall(), "ncclient": Ncclient(), "PyEZ": Pyez()}
    taken = {name: [] for name in ways}
    number = 0
    # The first round warms up.
    for turn in range(ROUNDS + 1):
        for name, way in ways.items():
            samples = []
            for _ in range(CHANGES):
                number += 1
                start = time.perf_counter()
                way(number)
                samples.append(time.perf_counter() - start)
            if turn:
                taken[name].append(statistics.median(samples) * 1e3)
    ours = taken["one call"]
    print("| way | ms | one call over it: median | min | max |")
    print("| --- | --- | --- | --- | --- |")
    for name, theirs in taken.items():
        ratios = sorted(a / b for a, b in zip(ours, theirs))
        middle = statistics.median(ratios)
        print(f"| {name} | {statistics.median(theirs):.2f} | {middle:.2f} | {ratios[0]:.2f} | {ratios[-1]:.2f} |")


if __name__ == "__main__":
    main()
