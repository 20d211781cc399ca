"""What README.md tells a newcomer to type works as it stands."""

import os
import re
import subprocess
import sys
import unittest

import cli
import paths
from harness import ServerTestCase


def blocks(language):
    with open(os.path.join(paths.ROOT, "README.md")) as file:
        return re.findall(rf"^```{language}\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)


class ReadmeTests(ServerTestCase):
    def environment(self, **variables):
        directory = os.path.join(self.server.directory, "bin")
        if not os.path.exists(directory):
            os.mkdir(directory)
            os.symlink(os.path.realpath(paths.binary()), os.path.join(directory, "prism"))
        return cli.environment(PRISM_SOCKET=self.server.socket_path,
                               PATH=f"{directory}:{os.environ['PATH']}", **variables)

    def test_the_shells_first_requests(self):
        (commands,) = [block for block in blocks("sh") if block.startswith("prism kv put")]
        done = subprocess.run(["sh", "-ec", commands], env=self.environment(), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hello", done.stdout)
        self.assertIn("SERVING", done.stdout)

    def test_pythons_first_requests(self):
        (program,) = blocks("python")
        done = subprocess.run([sys.executable, "-c", program], env=self.environment(PYTHONPATH=paths.CLIENT),
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "b'hello'\n42\n")

    def test_make_lists_every_target_that_is_written_about(self):
        listed = subprocess.run(["make", "-C", paths.ROOT, "--no-print-directory", "help"], capture_output=True, text=True,
                                timeout=60).stdout
        targets = set(re.findall(r"^  make ([a-z]+)", listed, re.MULTILINE))
        for name in ("README.md", "CONTRIBUTING.md", "docs/measurements.md", "docs/kubernetes.md"):
            with open(os.path.join(paths.ROOT, name)) as file:
                written = set(re.findall(r"(?:^|`)make ([a-z]+)", file.read(), re.MULTILINE))
            self.assertLessEqual(written, targets, name)


if __name__ == "__main__":
    unittest.main()
