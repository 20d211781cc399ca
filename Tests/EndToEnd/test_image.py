"""What the image holds, run as a container would be: nothing but scripts/image-root.sh's files, on a read-only root, as a user that is
not root and can gain no privilege, with the manifest's volumes, configuration, probes and hooks."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import kustomize
import paths
from harness import START_SECONDS_MAX, STOP_SECONDS_MAX

SCRIPT = os.path.join(paths.ROOT, "scripts", "image-root.sh")
BYTES_MAX = 60_000_000
USER, GROUP = 2112, 2000
APP_USER = 1002

# The mounts of a pod in a namespace of its own, then the sidecar as process. The directory of the configuration is made beforehand:
# a container's runtime makes what it mounts on.
CONTAINER = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o size=1m,mode=2777,gid=2000 socket "$ROOT/run/prism"
mount -t tmpfs -o size=64m,mode=2777,gid=2000 data "$ROOT/var/lib/prism"
mount --bind "$CONFIG" "$ROOT/etc/prism"
root=$ROOT
unset ROOT CONFIG
exec setpriv --no-new-privs chroot --userspec=2112:2000 --groups=2000 "$root" "$@"
"""


def setUpModule():
    kustomize.tools()


def image_root(binary, directory, **environment):
    return subprocess.run([SCRIPT, binary, directory], capture_output=True, text=True, env={**os.environ, **environment})


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
@unittest.skipUnless(os.geteuid() == 0, "making mount namespaces needs root")
class ImageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="prism-image-")
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        os.chmod(cls.top, 0o755)
        cls.root = os.path.join(cls.top, "root")
        # A debug build links Swift's own libraries and is no measure.
        cls.is_release = "libswiftCore" not in subprocess.run(["ldd", paths.binary()], capture_output=True, text=True).stdout
        made = image_root(paths.binary(), cls.root, **({} if cls.is_release else {"IMAGE_BYTES_MAX": "1000000000"}))
        if made.returncode:
            raise AssertionError(made.stdout + made.stderr)
        cls.said = made.stdout
        os.mkdir(os.path.join(cls.root, "etc", "prism"))

    def files(self):
        return [os.path.join(directory, name) for directory, _, names in os.walk(self.root) for name in names]

    def test_size(self):
        size = sum(os.path.getsize(path) for path in self.files() if not os.path.islink(path))
        self.assertRegex(self.said, r"image-root: [0-9.]+ MB beyond the base: prism [0-9.]+ MB, ")
        said = float(re.search(r"([0-9.]+) MB beyond", self.said)[1])
        self.assertAlmostEqual(said, size / 1e6, delta=0.1)
        if self.is_release:
            self.assertLessEqual(size, BYTES_MAX)

    def test_a_larger_one_is_refused_and_a_foreign_directory_left_alone(self):
        made = image_root(paths.binary(), os.path.join(self.top, "small"), IMAGE_BYTES_MAX="1000")
        self.assertEqual((made.returncode, made.stderr),
                         (1, "image-root: that is more than the 1000 bytes it may have\n"))
        foreign = os.path.join(self.top, "foreign")
        os.mkdir(foreign)
        self.assertEqual(image_root(paths.binary(), foreign).returncode, 1)
        self.assertEqual(os.listdir(foreign), [])

    def test_one_program_and_nothing_that_raises_privileges(self):
        executable = [os.path.relpath(path, self.root) for path in self.files()
                      if os.access(path, os.X_OK) and ".so" not in os.path.basename(path) and not os.path.islink(path)]
        self.assertEqual(executable, ["usr/bin/prism"])
        raised = [path for path in self.files() if os.lstat(path).st_mode & 0o6000]
        self.assertEqual(raised, [])

    def test_it_runs_as_the_manifest_says(self):
        example = os.path.join(kustomize.EXAMPLES, "quickstart")
        documents = kustomize.render(example)
        sidecar = kustomize.sidecar(kustomize.pod(kustomize.workload(documents)))
        self.assertEqual((sidecar["securityContext"]["runAsUser"], sidecar["securityContext"]["runAsGroup"]), (USER, GROUP))
        config = os.path.join(self.top, "config")
        os.mkdir(config)
        with open(os.path.join(config, "prism.yaml"), "w") as file:
            file.write(kustomize.configuration(documents))
        environment = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "ROOT": self.root, "CONFIG": config,
                       **{variable["name"]: variable["value"] for variable in sidecar["env"]}}
        log_path = os.path.join(self.top, "log")
        with open(log_path, "wb") as log:
            container = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINER, "sh", *sidecar["command"]],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def end():
            if container.poll() is None:
                container.kill()
            container.wait()

        self.addCleanup(end)

        def log():
            with open(log_path, errors="replace") as file:
                return file.read()

        def run(*command, user=USER):
            """As the kubelet does it: in the container's namespace and root."""
            return subprocess.run(
                ["nsenter", "--target", str(container.pid), "--mount", "--root", "--wd=/", "--setuid", str(user), "--setgid",
                 str(GROUP), *command],
                env={"PATH": "/usr/bin", "PRISM_SOCKET": "/run/prism/prism.sock"}, capture_output=True, text=True, timeout=30)

        def probe(name):
            return run(*sidecar[name]["exec"]["command"]).returncode

        # Until the shell has made its mounts and become the sidecar, the namespace is not the container's.
        self.until(lambda: container.poll() is not None or os.readlink(f"/proc/{container.pid}/exe").endswith("usr/bin/prism"))
        self.assertIsNone(container.poll(), log())
        waited = run("prism", "wait", "--timeout", f"{START_SECONDS_MAX}s")
        self.assertEqual(waited.returncode, 0, waited.stderr + log())
        self.assertEqual([probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe")], [0, 0, 0], log())

        with open(f"/proc/{container.pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual((status["Uid"].split()[0], status["Gid"].split()[0], status["Groups"].split()), ("2112", "2000", ["2000"]))
        self.assertEqual((status["NoNewPrivs"], int(status["CapEff"], 16)), ("1", 0))
        with open(f"/proc/{container.pid}/mountinfo") as file:
            (options,) = [line.split()[5] for line in file if line.split()[4] == "/"]
        self.assertIn("ro", options.split(","))

        # The app, with a uid of its own and the pod's group: data, but not the pod's end.
        self.assertEqual(run("prism", "kv", "put", "greeting", "hello", user=APP_USER).returncode, 0, log())
        self.assertEqual(run("prism", "kv", "get", "greeting", user=APP_USER).stdout, "hello")
        self.assertEqual(run("prism", "drain", user=APP_USER).returncode, 1)
        self.assertEqual(probe("readinessProbe"), 0)
        # No shell is there to hold on to.
        self.assertNotEqual(run("sh", "-c", "true").returncode, 0)

        self.assertEqual(run(*sidecar["lifecycle"]["preStop"]["exec"]["command"]).returncode, 0, log())
        self.assertEqual(probe("readinessProbe"), 1)
        self.assertEqual(run("prism", "kv", "get", "greeting", user=APP_USER).stdout, "hello")
        container.terminate()
        self.assertEqual(container.wait(STOP_SECONDS_MAX), 0, log())
        self.assertIn("drain_report", log())

    def until(self, condition):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"not in {START_SECONDS_MAX} s")
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
