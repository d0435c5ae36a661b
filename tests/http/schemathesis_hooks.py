"""What schemathesis is told about this API: which values reach something, and two checks of our own.

Loaded through the environment variable SCHEMATHESIS_HOOKS (see schemathesis.sh).
"""

import json
import zlib

import schemathesis

# The emulated devices of `ncgate demo`, and RPCs that they answer.
DEVICES = ["mx1", "mx2"]
SPARE = "spare"
RPCS = ["get-interface-information", "get-software-information", "get-chassis-inventory", "get-no-such-thing"]

# Every problem says these (RFC 9457 and conventions of the API).
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "origin", "retryable", "outcome"}


def pick(value, choices):
    """One of `choices`, or the value itself for about a third of all values: generated names reach no device."""
    number = zlib.crc32(repr(value).encode())
    return value if number % 3 == 0 else choices[number % len(choices)]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters:
        if "device" in path_parameters:
            path_parameters["device"] = pick(path_parameters["device"], DEVICES)
        if "name" in path_parameters and "/rpc/" in context.operation.path:
            path_parameters["name"] = pick(path_parameters["name"], RPCS)
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    # A stream of events has no end; the page of the same path has one.
    if case.operation.path == "/v1/events":
        case.headers["Accept"] = "application/json"
    # Changing or removing a demo device would take it away from all later calls; schemathesis.sh has added SPARE.
    changes = case.method.upper() not in ("GET", "POST", "HEAD", "OPTIONS", "TRACE")
    if changes and case.path_parameters and case.path_parameters.get("device") in DEVICES:
        case.path_parameters["device"] = SPARE


def problem_of(response):
    """The problem of an error response; an AssertionError when the body is none."""
    content_type = (response.headers.get("content-type") or [""])[0]
    assert content_type.split(";")[0].strip() == "application/problem+json", \
        f"status {response.status_code} with content type {content_type!r}"
    problem = json.loads(response.content)
    missing = PROBLEM_MEMBERS - problem.keys()
    assert not missing, f"the problem lacks {sorted(missing)}"
    assert problem["status"] == response.status_code, f"the problem says status {problem['status']}"
    return problem


@schemathesis.check
def every_error_is_a_problem(ctx, response, case):
    """Each 4xx and 5xx is problem+json with all of its members (a HEAD has no body)."""
    if response.status_code >= 400 and case.method.upper() != "HEAD":
        problem_of(response)


@schemathesis.check
def no_fault_of_the_gateway(ctx, response, case):
    """No 5xx whose origin is the gateway."""
    if response.status_code >= 500 and case.method.upper() != "HEAD":
        problem = problem_of(response)
        assert problem["origin"] != "gateway", f"{response.status_code} {problem['code']}: {problem['detail']}"
