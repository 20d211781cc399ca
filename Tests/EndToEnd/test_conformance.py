"""Runs the conformance cases on every backend, and holds docs/conformance.md to them.

PRISM_CONFORMANCE=postgresql runs one backend only; `run.sh test_conformance.Entries_sqlite` one section on one.
"""

import collections
import os
import sys
import unittest

import paths
from conformance import backends, case, deadlines, idempotency, key_value, sql, streams, transactions

CHAPTERS = (key_value, idempotency, sql, transactions, streams, deadlines)
DOCUMENT = os.path.join(paths.ROOT, "docs", "conformance.md")
ONLY = os.environ.get("PRISM_CONFORMANCE")


def sections(chapter):
    """The case classes of a chapter, in the order in which they stand."""
    return [item for item in vars(chapter).values()
            if isinstance(item, type) and issubclass(item, case.ConformanceCase) and item.__module__ == chapter.__name__]


def promises(section):
    return [name for name in vars(section) if name.startswith("test_")]


class Tally:
    """How many cases of a backend passed."""

    results = collections.defaultdict(collections.Counter)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors), len(result.skipped)
        done = super().run(result)
        after = len(result.failures) + len(result.errors), len(result.skipped)
        kind = "failed" if after[0] > before[0] else "skipped" if after[1] > before[1] else "passed"
        self.results[self.backend.name][kind] += 1
        return done


def classes(backend):
    """Each section once more, on this backend."""
    reason = backend.why_not()
    for chapter in CHAPTERS:
        for section in sections(chapter):
            name = f"{section.__name__}_{backend.name}"
            made = type(name, (Tally, section), {"backend": backend, "__module__": __name__, "__doc__": section.__doc__})
            yield name, unittest.skip(reason)(made) if reason else made


if paths.binary():
    globals().update(pair for backend in backends.ALL if ONLY in (None, "", backend.name) for pair in classes(backend))


def tearDownModule():
    cases = sum(len(promises(section)) for chapter in CHAPTERS for section in sections(chapter))
    for name, counts in Tally.results.items():
        print(f"conformance, {name}: {counts['passed']} of {cases} cases passed, {counts['failed']} failed, "
              f"{counts['skipped']} skipped", file=sys.stderr, flush=True)


def sentence(name):
    words = name.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")
    return words[0].upper() + words[1:]


def listing():
    lines, number = [], 0
    for chapter in CHAPTERS:
        title = chapter.__doc__.strip().split(":")[0]
        path = os.path.relpath(chapter.__file__, paths.ROOT)
        lines += [f"## {title}", "", f"[{os.path.basename(path)}](../{path})", ""]
        for section in sections(chapter):
            lines += [f"### {section.__doc__.strip()}", ""]
            for name in promises(section):
                number += 1
                lines.append(f"{number}. {sentence(name)}.")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


class DocumentTests(unittest.TestCase):
    def test_the_document_lists_the_cases(self):
        """UPDATE_DOCS=1 writes it."""
        with open(DOCUMENT) as file:
            head, mark, _ = file.read().partition("<!-- cases -->\n")
        self.assertTrue(mark)
        wanted = f"{head}{mark}\n{listing()}"
        if os.environ.get("UPDATE_DOCS") == "1":
            with open(DOCUMENT, "w") as file:
                file.write(wanted)
        with open(DOCUMENT) as file:
            self.assertEqual(file.read(), wanted, "run UPDATE_DOCS=1 Tests/EndToEnd/run.sh test_conformance.DocumentTests")


if __name__ == "__main__":
    unittest.main()
