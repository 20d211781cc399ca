"""Finds the Python client and the built binary of this checkout; generates the client's messages if they are missing."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLIENT = os.path.join(ROOT, "clients", "python")


def use_client():
    generated = os.path.join(CLIENT, "prism", "v1", "prism_pb2.py")
    schema = os.path.join(ROOT, "proto", "prism", "v1", "prism.proto")
    if not os.path.exists(generated) or os.path.getmtime(generated) < os.path.getmtime(schema):
        subprocess.run([os.path.join(ROOT, "scripts", "python-proto.sh")], check=True, stdout=subprocess.DEVNULL)
    if CLIENT not in sys.path:
        sys.path.insert(0, CLIENT)


def binary():
    """The built prism: PRISM_BINARY, else the debug build, else the release build; None if there is none."""
    named = os.environ.get("PRISM_BINARY")
    candidates = [named] if named else [os.path.join(ROOT, ".build", kind, "prism") for kind in ("debug", "release")]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


use_client()
