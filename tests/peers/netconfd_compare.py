#!/usr/bin/env python3
"""The same reads of a real server, once by ncclient and once through a running gateway: the data must be the same.

    netconfd_compare.py http://127.0.0.1:8830

Starts netconfd (tests/netconfd), adds it to the gateway as a device like any other, reads through REST (XML and JSON) and
through gRPC, and compares with what ncclient gets over a session of its own: XML as canonical trees, JSON by walking
both trees. Three devices: chunked framing with an ed25519 key, chunked framing with a password, and base:1.0 alone with
an RSA key. The gateway must allow devices on loopback.

Prints "skipped: ..." and ends with status 0 where the server cannot be had.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse

import grpc
import requests
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))
import grpc_stubs  # noqa: E402

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LAB = "urn:example:ncgate-lab"
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
SECONDS = 30
differences = []


def compare(what, expected, actual):
    """Prints and remembers a difference."""
    if expected == actual:
        print(f"ok {what}")
        return
    differences.append(what)
    print(f"DIFFERENT {what}\n  ncclient: {expected!r:.2000}\n  gateway:  {actual!r:.2000}")


# --- XML and JSON as comparable values ------------------------------------------------------------------------------

def elements(parent):
    return [child for child in parent if isinstance(child.tag, str)]


def tree(element):
    """An element as nested tuples: name with namespace, attributes, text (blanks around children left out), children.
    Prefixes do not count, the value of a prefixed text is compared as text."""
    children = elements(element)
    text = element.text or ""
    if children and not text.strip():
        text = ""
    return element.tag, tuple(sorted(element.attrib.items())), text, tuple(tree(child) for child in children)


def payload(reply):
    """The payload elements of an `<rpc-reply>`: its children, and those of `<data>` in its place (rule N1)."""
    children = elements(reply)
    if len(children) == 1 and children[0].tag == f"{{{BASE}}}data":
        return elements(children[0])
    return children


def text_of(element):
    """Rules N3 and N4."""
    text = element.text or ""
    if text.startswith("\n") and text.endswith("\n") and len(text) > 1:
        text = text[1:-1]
    if not text or (not text.strip() and "\n" in (element.text or "")):
        return None
    return text


def json_faults(siblings, value, path):
    """Where the JSON of sibling elements differs from the elements; written anew from the rules of the mapping, shapes
    that only the list table decides (one element: bare or in an array) both taken."""
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    faults, groups = [], {}
    for element in siblings:
        groups.setdefault(etree.QName(element).localname, []).append(element)
    keys = [key for key in value if not key.startswith(("@", "#"))]
    if keys != list(groups):
        return [f"{path}: members {keys}, elements {list(groups)}"]
    for name, group in groups.items():
        entries = value[name] if isinstance(value[name], list) else [value[name]]
        if len(group) > 1 and not isinstance(value[name], list):
            faults.append(f"{path}/{name}: repeated, but no array")
        if len(entries) != len(group):
            faults.append(f"{path}/{name}: {len(entries)} entries for {len(group)} elements")
            continue
        for index, (element, entry) in enumerate(zip(group, entries)):
            place = f"{path}/{name}[{index}]"
            if elements(element):
                faults += json_faults(elements(element), entry, place)
            elif entry != text_of(element):
                faults.append(f"{place}: {entry!r} for {text_of(element)!r}")
    return faults


# --- the two ways to read -------------------------------------------------------------------------------------------

class Gateway:
    """REST and gRPC of a running gateway."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.http = requests.Session()
        self.channel = grpc.insecure_channel(urllib.parse.urlsplit(url).netloc)
        self.stubs = grpc_stubs.generate()
        self.configs = self.stubs.config_service_grpc.ConfigServiceStub(self.channel)
        self.rpcs = self.stubs.rpc_service_grpc.RpcServiceStub(self.channel)

    def call(self, method, path, expected=200, **arguments):
        answer = self.http.request(method, self.url + path, timeout=SECONDS, **arguments)
        if answer.status_code != expected:
            raise SystemExit(f"FAILED {method} {path}: {answer.status_code} instead of {expected}\n{answer.text}")
        return answer

    @contextlib.contextmanager
    def device(self, name, settings):
        path = f"/v1/devices/{name}"
        self.http.delete(self.url + path, timeout=SECONDS)  # what a run that was cut short left behind
        self.call("POST", "/v1/devices", 201, json={"name": name, **settings})
        try:
            yield path
        finally:
            self.call("DELETE", path, 204)


class Read:
    """One read in all its forms; `direct` takes an ncclient session and returns an object with `xml`."""

    def __init__(self, what, direct, query=None, rpc=None):
        self.what, self.direct, self.query, self.rpc = what, direct, query, rpc

    def rest(self, gateway, path, accept):
        headers = {"Accept": accept}
        if self.rpc is not None:
            return gateway.call("POST", f"{path}/rpc", json={"rpc": self.rpc}, headers=headers)
        return gateway.call("GET", f"{path}/config", params=self.query, headers=headers)

    def grpc(self, gateway, device):
        common, stubs = gateway.stubs.common, gateway.stubs
        if self.rpc is not None:
            request = stubs.rpc_service.CallRpcRequest(
                device=device, rpc=stubs.rpc_service.Rpc(body=common.Payload(json=json.dumps(self.rpc))))
            return gateway.rpcs.CallRpc(request, timeout=SECONDS).reply
        query = stubs.config_service.ConfigQuery(source=self.query.get("source", ""), xpath=self.query.get("xpath", ""))
        if "filter" in self.query:
            query.filter.xml = self.query["filter"]
        if "with_defaults" in self.query:
            word = self.query["with_defaults"].upper().replace("-", "_")
            query.with_defaults = getattr(stubs.config_service, f"WITH_DEFAULTS_{word}")
        request = stubs.config_service.GetConfigRequest(device=device, query=query)
        return gateway.configs.GetConfig(request, timeout=SECONDS).reply


def reads(candidate):
    """What is read; some of it only where the server offers a candidate."""
    beds = f'<greenhouse xmlns="{LAB}"><bed><id>b2</id></bed></greenhouse>'
    pump = f'<greenhouse xmlns="{LAB}"><pump/></greenhouse>'
    state = f'<netconf-state xmlns="{MONITORING}"><schemas/></netconf-state>'
    yield Read("running", lambda m: m.get_config("running"), {})
    yield Read("running, named", lambda m: m.get_config("running"), {"source": "running"})
    yield Read("a list entry by subtree filter", lambda m: m.get_config("running", filter=("subtree", beds)),
               {"filter": beds})
    yield Read("a container by subtree filter", lambda m: m.get_config("running", filter=("subtree", pump)),
               {"filter": pump})
    yield Read("xpath", lambda m: m.get_config("running", filter=("xpath", "/greenhouse/bed[id='b1']")),
               {"xpath": "/greenhouse/bed[id='b1']"})
    yield Read("nothing", lambda m: m.get_config("running", filter=("xpath", "/greenhouse/bed[id='none']")),
               {"xpath": "/greenhouse/bed[id='none']"})
    for mode in ("report-all", "report-all-tagged", "trim", "explicit"):
        yield Read(f"with-defaults {mode}",
                   lambda m, mode=mode: m.get_config("running", filter=("subtree", f'<greenhouse xmlns="{LAB}"/>'),
                                                     with_defaults=mode),
                   {"filter": f'<greenhouse xmlns="{LAB}"/>', "with_defaults": mode})
    if candidate:
        yield Read("candidate", lambda m: m.get_config("candidate"), {"source": "candidate"})
    yield Read("get of a state subtree", lambda m: m.get(filter=("subtree", state)),
               rpc={"get": {"filter": {"@": {"type": "subtree"},
                                       "netconf-state": {"@": {"xmlns": MONITORING}, "schemas": None}}}})
    yield Read("an operation of the vendor", lambda m: m.dispatch(to_ele(
        '<get-my-session xmlns="http://netconfcentral.org/ns/yuma-mysession"/>')),
        rpc={"get-my-session": {"@": {"xmlns": "http://netconfcentral.org/ns/yuma-mysession"}}})


def direct_xml(reply):
    """The `<rpc-reply>` that ncclient got, as an element."""
    return etree.fromstring(reply.xml.encode() if isinstance(reply.xml, str) else reply.xml,
                            etree.XMLParser(huge_tree=True))


def compare_read(read, session, gateway, name, path):
    direct = payload(direct_xml(read.direct(session)))
    expected = [tree(element) for element in direct]

    whole = etree.fromstring(read.rest(gateway, path, "application/xml").content)
    compare(f"{name}: {read.what}: XML", expected, [tree(element) for element in payload(whole)])

    envelope = json.loads(read.rest(gateway, path, "application/json").content)
    data = envelope["data"] if envelope["data"] is not None else {}
    compare(f"{name}: {read.what}: JSON", [], json_faults(direct, data, ""))
    compare(f"{name}: {read.what}: envelope", (name, True, False),
            (envelope["device"], envelope["complete"], envelope["lossy"]))

    compare(f"{name}: {read.what}: gRPC", envelope["data"], json.loads(read.grpc(gateway, name).data.json))


def error_fields(error):
    """An ncclient RPCError as the gateway names its fields; of error-info only whether it is there."""
    fields = {"error_type": error.type, "error_tag": error.tag, "error_severity": error.severity,
              "error_app_tag": error.app_tag, "error_path": error.path, "error_message": error.message}
    return {name: value.strip() for name, value in fields.items() if value} | {"has_info": error.info is not None}


def compare_error(session, gateway, name, path):
    """A read that the server refuses arrives with every field of its error."""
    body = f'<get xmlns="{BASE}"><filter type="xpath" select="/nosuch:x"/></get>'
    try:
        session.dispatch(to_ele(body))
        raise SystemExit("FAILED the server took a bad XPath")
    except RPCError as error:
        expected = [error_fields(e) for e in (error.errlist or [error])]
    answer = gateway.http.post(f"{gateway.url}{path}/rpc", timeout=SECONDS, data=body,
                               headers={"Content-Type": "application/xml"})
    problem = answer.json()
    actual = [{k: v.strip() for k, v in e.items() if k.startswith("error_") and k != "error_info"} |
              {"has_info": "error_info" in e} for e in problem.get("rpc_errors", [])]
    compare(f"{name}: rpc-errors of a refused read", expected, actual)
    compare(f"{name}: origin of that problem", "device", problem.get("origin"))


def compare_hello(session, gateway, name, path):
    direct = sorted(session.server_capabilities)
    shown = gateway.call("GET", f"{path}/capabilities").json()
    compare(f"{name}: capabilities, verbatim", direct, sorted(entry["uri"] for entry in shown["capabilities"]))
    report = gateway.call("POST", f"{path}/check").json()
    chunked = any(uri.startswith("urn:ietf:params:netconf:base:1.1") for uri in direct)
    compare(f"{name}: framing", "1.1" if chunked else "1.0", report["hello"]["base"])


def compare_schema(session, gateway, name, path):
    direct = direct_xml(session.get_schema("ietf-interfaces"))
    text = payload(direct)[0].text
    shown = gateway.call("GET", f"{path}/schemas/ietf-interfaces").json()
    data = shown["data"]
    shown_text = data if isinstance(data, str) else next(iter(data.values()))
    compare(f"{name}: get-schema", text.strip(), shown_text.strip())


def run_device(gateway, name, server, way_in):
    host, port = server["address"].split(":")
    with open(server["known_hosts"]) as f:
        keys = [" ".join(line.split()[1:3]) for line in f]
    settings = {"address": host, "port": int(port), "username": server["user"], "auth": way_in(server),
                "host_key": {"policy": "pinned", "keys": keys}}
    with manager.connect(host=host, port=int(port), username=server["user"], key_filename=server["key"],
                         hostkey_verify=False, allow_agent=False, look_for_keys=False, timeout=SECONDS) as session:
        with gateway.device(name, settings) as path:
            compare_hello(session, gateway, name, path)
            for read in reads(":candidate" in session.server_capabilities):
                compare_read(read, session, gateway, name, path)
            compare_error(session, gateway, name, path)
            compare_schema(session, gateway, name, path)


@contextlib.contextmanager
def netconfd(*options):
    """A server for as long as the block runs; yields what its `ready` line says, or None where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="ncgate-compare-") as directory:
        command = [sys.executable, os.path.join(HERE, "..", "netconfd", "netconfd.py"), *options, "run", directory]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline()
            if line.startswith("ready "):
                words = line.split()[1:]
                yield {"address": words[0], **dict(word.split("=", 1) for word in words[1:])}
            elif process.wait() == 3:
                yield None
            else:
                raise SystemExit(f"FAILED netconfd.py: status {process.returncode}")
        finally:
            process.stdin.close()
            process.wait()


def key(name):
    def read(server):
        with open(server[name]) as f:
            auth = {"private_key": f.read()}
        return auth | ({"passphrase": server["passphrase"]} if name == "key_encrypted" else {})
    return read


def main():
    gateway = Gateway(sys.argv[1])
    with netconfd() as server:
        if server is None:
            print("skipped: netconfd is not installed: nothing was read from a real server")
            return
        run_device(gateway, "netconfd-key", server, key("key"))
        run_device(gateway, "netconfd-encrypted", server, key("key_encrypted"))
        if "password" in server:
            run_device(gateway, "netconfd-password", server, lambda s: {"password": s["password"]})
        else:
            print("skipped: a login with a password: the test server needs root for it")
    with netconfd("--base10", "--banner") as server:
        run_device(gateway, "netconfd-base10", server, key("key_rsa"))
    if differences:
        raise SystemExit(f"FAILED {len(differences)} differences: {differences}")
    print("all the same")


if __name__ == "__main__":
    main()
