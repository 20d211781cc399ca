#!/usr/bin/python3
"""Writes the vectors: NAME.bin is what goes over the socket, NAME.json how it reads. With --check nothing is written, and any
difference between the files and this generator fails. Needs nothing but Python: the bytes are packed by hand.

docs/wire.md says what the files mean and how to use them."""

import json
import os
import sys

import broken
import refused
import requests
import responses

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = {"requests": requests, "responses": responses, "refused": refused, "broken": broken}


def files():
    """Relative path to content, of everything that should be there."""
    made = {}
    for group, module in GROUPS.items():
        for vector in module.vectors():
            path = f"{group}/{vector['name']}"
            assert f"{path}.bin" not in made, f"two vectors are called {path}"
            made[f"{path}.bin"] = vector["bytes"]
            reading = {"about": vector["about"], "direction": "response" if group == "responses" else "request"}
            for key in ("limits", "messages", "ends", "answers"):
                if key in vector:
                    reading[key] = vector[key]
            made[f"{path}.json"] = (json.dumps(reading, indent=2) + "\n").encode()
    return made


def present():
    found = {}
    for group in GROUPS:
        folder = os.path.join(HERE, group)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), "rb") as file:
                found[f"{group}/{name}"] = file.read()
    return found


def differences():
    """One line for each file that is not what this generator makes."""
    made, found = files(), present()
    return ([f"{path} is missing" for path in made if path not in found]
            + [f"{path} is not made by the generator" for path in found if path not in made]
            + [f"{path} differs" for path in made if path in found and made[path] != found[path]])


def write():
    made = files()
    for path in present():
        if path not in made:
            os.remove(os.path.join(HERE, path))
    for path, content in made.items():
        target = os.path.join(HERE, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    print(f"generate: {len(made) // 2} vectors")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        wrong = differences()
        print("\n".join(wrong) or "generate: the vectors are what the generator makes")
        sys.exit(1 if wrong else 0)
    if sys.argv[1:]:
        sys.exit("usage: generate.py [--check]")
    write()
