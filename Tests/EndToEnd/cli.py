"""Runs commands of the binary as a shell would, and reads what they print."""

import json
import os
import pty
import subprocess

import paths


def environment(**variables):
    """This process's, without settings of Prism's but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISM_")}
    return {**clean, **variables}


def run(*arguments, code=0, text=True, seconds=30, stdin=None, **variables):
    """The finished command, whose exit code must be `code` (None: any). Variables go into its environment."""
    feed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done = subprocess.run([paths.binary(), *arguments], env=environment(**variables), capture_output=True, text=text,
                          timeout=seconds, **feed)
    if code is not None and done.returncode != code:
        raise AssertionError(f"prism {' '.join(arguments)} ended with {done.returncode}, not {code}:\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


def run_json(*arguments, **options):
    """What a command printed with --json, on standard output or, where it failed, on standard error; exactly one of them."""
    done = run(*arguments, "--json", **options)
    if bool(done.stdout) == bool(done.stderr):
        raise AssertionError(f"prism {' '.join(arguments)} --json printed {done.stdout!r} and {done.stderr!r}")
    return json.loads(done.stdout or done.stderr)


def run_on_terminal(*arguments, seconds=30, **variables):
    """What a command prints when its standard output is a terminal."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen([paths.binary(), *arguments], env=environment(**variables), stdin=subprocess.DEVNULL,
                                   stdout=follower, stderr=subprocess.PIPE)
        os.close(follower)
        output = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not chunk:
                break
            output += chunk
        _, errors = process.communicate(timeout=seconds)
        if process.returncode != 0:
            raise AssertionError(f"prism {' '.join(arguments)} ended with {process.returncode}: {errors.decode()}")
        return output.decode().replace("\r\n", "\n")
    finally:
        os.close(leader)
