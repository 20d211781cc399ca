"""docs/cli.md says what `--help` says: every command, its usage, its options, its exit codes. Every example there runs."""

import os
import re
import shlex
import unittest

import cli
import paths
from harness import ServerTestCase

DOCUMENT = os.path.join(paths.ROOT, "docs", "cli.md")
# Described once, under "Options that many commands have".
SHARED = {"--json", "--socket", "--admin-socket", "--backend", "--timeout", "--namespace", "--config"}
UPDATE = os.environ.get("UPDATE_DOCS") == "1"


def squeeze(text):
    return " ".join(text.split())


def help_of(command):
    return cli.run(*command, "--help").stdout


def subcommands(text):
    names = []
    for block in re.findall(r"SUBCOMMANDS:\n((?:  .*\n)+)", text):
        names += re.findall(r"^  ([a-z]+)(?: |$)", block, re.MULTILINE)
    return names


def walk(command=()):
    """All commands without subcommands, with their help."""
    text = help_of(command)
    children = subcommands(text)
    if not children:
        yield " ".join(command), text
    for child in children:
        yield from walk((*command, child))


def usage(text):
    return squeeze(re.search(r"^USAGE: (.*(?:\n .*)*)", text, re.MULTILINE).group(1))


def options(text):
    return set(re.findall(r"^ +(?:-[a-z], )?(--[a-z-]+)", text.split("\nOPTIONS:\n")[-1], re.MULTILINE)) - {
        "--version", "--help"}


def exit_codes(text):
    found = re.search(r"^Exit codes: (.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    return squeeze(found.group(1)) if found else None


class DocumentTests(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.commands = dict(walk())
        if UPDATE:
            cls.update()
        with open(DOCUMENT) as file:
            cls.document = file.read()
        parts = re.split(r"^### `prism (.*)`\n", cls.document, flags=re.MULTILINE)
        cls.preamble = parts[0]
        # A section ends at the next heading of a higher level.
        cls.sections = {name: re.split(r"^## ", body, flags=re.MULTILINE)[0] for name, body in zip(parts[1::2], parts[2::2])}

    @classmethod
    def update(cls):
        """UPDATE_DOCS=1: writes usage and exit codes of the sections that are there."""
        with open(DOCUMENT) as file:
            text = file.read()
        for name, help_text in cls.commands.items():
            codes = exit_codes(help_text)
            text = re.sub(rf"(^### `prism {re.escape(name)}`\n\n```\n).*?(\n```\n)", lambda m: m[1] + usage(help_text) + m[2],
                          text, flags=re.MULTILINE | re.DOTALL)
            if codes:
                text = re.sub(rf"(^### `prism {re.escape(name)}`\n(?:(?!^#).*\n)*?)Exit codes: .*\n",
                              lambda m: m[1] + f"Exit codes: {codes}\n", text, flags=re.MULTILINE)
        with open(DOCUMENT, "w") as file:
            file.write(text)

    def test_every_command_has_its_section_and_no_other_does(self):
        here = {name for name, text in self.commands.items() if "(not in this version)" not in text}
        self.assertEqual(set(self.sections), here)
        for name in set(self.commands) - here:
            self.assertIn(f"`{name}`", self.document)

    def test_usage(self):
        for name, section in self.sections.items():
            shown = re.search(r"```\n(.*?)\n```", section, re.DOTALL)
            self.assertEqual(squeeze(shown.group(1)) if shown else None, usage(self.commands[name]), name)

    def test_options(self):
        for name, section in self.sections.items():
            prose = re.sub(r"```\n.*?\n```", "", section, count=1, flags=re.DOTALL)
            for option in options(self.commands[name]) - SHARED:
                self.assertIn(option, prose, f"prism {name}")
            for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section)):
                self.assertIn(option, self.commands[name], f"prism {name} has no {option}")
        for option in SHARED:
            self.assertIn(f"`{option}", self.preamble)

    def test_exit_codes(self):
        for name, section in self.sections.items():
            codes = exit_codes(self.commands[name])
            self.assertIsNotNone(codes, f"prism {name} --help says nothing about exit codes")
            self.assertIn(f"Exit codes: {codes}", squeeze(section), f"prism {name}")

    def test_json_is_there_for_every_command(self):
        for name in self.sections:
            self.assertIn("--json", options(self.commands[name]), name)

    def test_the_examples_of_every_help_text_parse(self):
        """Those that need nothing but a running sidecar are run in order; all others must at least name what exists."""
        known = {option for text in self.commands.values() for option in options(text)} | {"--help", "--version"}
        ran = 0
        environment = {"PRISM_SOCKET": self.server.socket_path}
        for name, text in self.commands.items():
            for line in re.findall(r"^  (prism .*)$", text, re.MULTILINE):
                command = re.sub(r"\s+\(.*\)$", "", line)
                self.assertLessEqual(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", command)), known, line)
                if re.search(r"[<>|&]", command) or name.split()[0] in ("serve", "bench", "drain") or "--config" in command:
                    continue
                words = shlex.split(command)[1:]
                if "orders" in command or "--sqlite" in words or "--socket" in words or "--if-version" in words:
                    continue
                self.assertNotEqual(cli.run(*words, code=None, **environment).returncode, 2, line)
                ran += 1
        self.assertGreater(ran, 20)


if __name__ == "__main__":
    unittest.main()
