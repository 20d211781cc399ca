"""The unittest runner with a last line that says how it went, and a limit on each test."""

import faulthandler
import os
import signal
import sys
import time
import unittest

import paths

# No test may take longer; then its stacks are printed and it fails.
TEST_SECONDS_MAX = int(os.environ.get("PRISM_TEST_SECONDS_MAX", "1200" if os.environ.get("PRISM_TEST_FULL") == "1" else "180"))


class Result(unittest.TextTestResult):
    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        signal.alarm(TEST_SECONDS_MAX)

    def stopTest(self, test):
        signal.alarm(0)
        took = time.monotonic() - self._began
        if took > 1:
            self.stream.writeln(f"  ({took:.1f} s)")
        super().stopTest(test)

    def addSuccess(self, test):
        self.passed += 1
        super().addSuccess(test)


def too_long(*_):
    faulthandler.dump_traceback(file=sys.stderr)
    raise AssertionError(f"took longer than {TEST_SECONDS_MAX} s")


def main():
    signal.signal(signal.SIGALRM, too_long)
    here = os.path.dirname(os.path.abspath(__file__))
    names = sys.argv[1:] or sorted(name[:-3] for name in os.listdir(here) if name.startswith("test_") and name.endswith(".py"))
    if os.environ.get("PRISM_BINARY") and not paths.binary():
        print(f"PRISM_BINARY={os.environ['PRISM_BINARY']} is not there\n0 passed, 1 failed, 0 skipped")
        return 1
    print(f"binary: {paths.binary() or 'none; what needs it is skipped'}", file=sys.stderr)
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)
    # A setUpClass that failed counts among the errors, without a test of its own.
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped", flush=True)
    return 1 if failed or result.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
