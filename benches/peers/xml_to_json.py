"""How fast a gateway written by hand turns a reply into JSON: xmltodict and json.dumps over an XML file.

    python3 benches/peers/xml_to_json.py REPLY.xml

Prints megabytes of XML per second, best of three, to be held beside `cargo bench --bench convert`.
"""

import json
import sys
import time

import xmltodict

with open(sys.argv[1], "rb") as file:
    text = file.read()

best = float("inf")
for _ in range(3):
    begin = time.perf_counter()
    size = len(json.dumps(xmltodict.parse(text)))
    best = min(best, time.perf_counter() - begin)
print(f"{len(text) / 1e6:.1f} MB of XML, {size / 1e6:.1f} MB of JSON, {len(text) / 1e6 / best:.1f} MB/s")
