"""Python stubs of `proto/`, generated anew into a temporary directory, as a user of the API would make them."""

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from types import SimpleNamespace

import grpc_tools
from grpc_tools import protoc

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PROTO = os.path.join(ROOT, "proto")


def generate():
    """Compiles every file of the package; returns its message modules and stubs by name, for example
    `stubs.rpc_service.CallRpcRequest` and `stubs.rpc_service_grpc.RpcServiceStub`."""
    out = tempfile.mkdtemp(prefix="ncgate-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    package = os.path.join(PROTO, "ncgate", "v1")
    files = sorted(name for name in os.listdir(package) if name.endswith(".proto"))
    well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    status = protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}",
                          *(os.path.join(package, name) for name in files)])
    if status != 0:
        raise SystemExit(f"protoc: status {status}")
    sys.path.insert(0, out)
    stubs = SimpleNamespace()
    for name in files:
        stem = name.removesuffix(".proto")
        setattr(stubs, stem, importlib.import_module(f"ncgate.v1.{stem}_pb2"))
        setattr(stubs, stem + "_grpc", importlib.import_module(f"ncgate.v1.{stem}_pb2_grpc"))
    return stubs
