"""What the image holds, run as a container would be: nothing but the files of scripts/image-root.sh, on a read-only root, as a user that is
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
import postgres
from harness import START_SECONDS_MAX, STOP_SECONDS_MAX

SCRIPT = os.path.join(paths.ROOT, "scripts", "image-root.sh")
BYTES_MAX = 60_000_000
USER, GROUP = 2112, 2000
APP_USER = 1002

# The mounts of a pod in a namespace of its own, then the sidecar as process. The directories of the configuration and the Secret are
# made beforehand: a container's runtime makes what it mounts on.
CONTAINER = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o "size=1m,$VOLUMES" socket "$ROOT/run/prism"
mount -t tmpfs -o "size=64m,$VOLUMES" data "$ROOT/var/lib/prism"
mount --bind "$CONFIG" "$ROOT/etc/prism"
mount --bind "$SECRET" "$ROOT/etc/prism-postgresql"
root=$ROOT
unset ROOT CONFIG SECRET VOLUMES
exec setpriv --no-new-privs chroot --userspec=2112:2000 --groups=2000 "$root" "$@"
"""


def setUpModule():
    kustomize.tools()


def image_root(binary, directory, **environment):
    return subprocess.run([SCRIPT, binary, directory], capture_output=True, text=True, env={**os.environ, **environment})


class Sidecar:
    """A running container of the image, ended with the test. It answers when this returns."""

    def __init__(self, test, documents, environment):
        self.manifest = kustomize.sidecar(kustomize.pod(kustomize.workload(documents)))
        config = tempfile.mkdtemp(dir=test.top)
        os.chmod(config, 0o755)
        with open(os.path.join(config, "prism.yaml"), "w") as file:
            file.write(kustomize.configuration(documents))
        # No port: other tests may have it.
        named = {variable["name"]: variable["value"] for variable in self.manifest["env"] if variable["name"] != "PRISM_ADMIN_TCP"}
        self.log_path = os.path.join(config, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINER, "sh", *self.manifest["command"]],
                env={"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "ROOT": test.root, "CONFIG": config, "SECRET": config,
                     "VOLUMES": "mode=2777,gid=2000",  # an emptyDir with fsGroup
                     **named, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        test.addCleanup(self.end)
        # Until the shell has made its mounts and become the sidecar, the namespace is not the container's.
        test.until(lambda: self.process.poll() is not None
                   or os.readlink(f"/proc/{self.process.pid}/exe").endswith("usr/bin/prism"))
        test.assertIsNone(self.process.poll(), self.log)
        waited = self.run("prism", "wait", "--timeout", f"{START_SECONDS_MAX}s")
        test.assertEqual(waited.returncode, 0, waited.stderr + self.log)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def run(self, *command, user=USER, group=GROUP):
        """As the kubelet does it: in the container's namespace and root."""
        return subprocess.run(
            ["nsenter", "--target", str(self.process.pid), "--mount", "--root", "--wd=/", "--setuid", str(user), "--setgid",
             str(group), *command],
            env={"PATH": "/usr/bin", "PRISM_SOCKET": "/run/prism/prism.sock"}, capture_output=True, text=True, timeout=30)

    def probe(self, name):
        return self.run(*self.manifest[name]["exec"]["command"]).returncode


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
        os.mkdir(os.path.join(cls.root, "etc", "prism-postgresql"))
        # The kubelet's; with a name that only this resolves.
        with open(os.path.join(cls.root, "etc", "hosts"), "w") as file:
            file.write("127.0.0.1 localhost db.example\n")

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

    def begin(self, name, **environment):
        """The example's sidecar as a container; `environment` stands for what the ConfigMap of libpq's variables has."""
        return Sidecar(self, kustomize.render(os.path.join(kustomize.EXAMPLES, name)), environment)

    def test_it_runs_as_the_manifest_says(self):
        sidecar = self.begin("quickstart")
        manifest = sidecar.manifest
        self.assertEqual((manifest["securityContext"]["runAsUser"], manifest["securityContext"]["runAsGroup"]), (USER, GROUP))
        self.assertEqual([sidecar.probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe")], [0, 0, 0],
                         sidecar.log)

        with open(f"/proc/{sidecar.process.pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual((status["Uid"].split()[0], status["Gid"].split()[0], status["Groups"].split()), ("2112", "2000", ["2000"]))
        self.assertEqual((status["NoNewPrivs"], int(status["CapEff"], 16)), ("1", 0))
        with open(f"/proc/{sidecar.process.pid}/mountinfo") as file:
            (options,) = [line.split()[5] for line in file if line.split()[4] == "/"]
        self.assertIn("ro", options.split(","))

        # The app, with a uid of its own and the pod's group: data, but not the pod's end.
        self.assertEqual(sidecar.run("prism", "kv", "put", "greeting", "hello", user=APP_USER).returncode, 0, sidecar.log)
        self.assertEqual(sidecar.run("prism", "kv", "get", "greeting", user=APP_USER).stdout, "hello")
        self.assertEqual(sidecar.run("prism", "drain", user=APP_USER).returncode, 1)
        self.assertEqual(sidecar.probe("readinessProbe"), 0)
        # No shell is there to hold on to.
        self.assertNotEqual(sidecar.run("sh", "-c", "true").returncode, 0)

        self.assertEqual(sidecar.run(*manifest["lifecycle"]["preStop"]["exec"]["command"]).returncode, 0, sidecar.log)
        self.assertEqual(sidecar.probe("readinessProbe"), 1)
        self.assertEqual(sidecar.run("prism", "kv", "get", "greeting", user=APP_USER).stdout, "hello")
        sidecar.process.terminate()
        self.assertEqual(sidecar.process.wait(STOP_SECONDS_MAX), 0, sidecar.log)
        self.assertIn("drain_report", sidecar.log)

    def test_supplemental_groups_do_instead_of_an_fs_group(self):
        """The volumes then are root's, and writable for all."""
        sidecar = self.begin("quickstart", VOLUMES="mode=0777,gid=0")
        self.assertEqual(sidecar.run("prism", "kv", "put", "greeting", "hello", user=APP_USER).returncode, 0, sidecar.log)
        self.assertEqual(sidecar.run("prism", "drain", user=APP_USER).returncode, 1)
        stranger = sidecar.run("prism", "kv", "get", "greeting", user=APP_USER, group=APP_USER)
        self.assertEqual(stranger.returncode, 1)
        self.assertIn("PERMISSION_DENIED", stranger.stderr)

    @postgres.needed
    def test_postgresql_is_reached_by_name_and_its_certificate_checked(self):
        """What is loaded only then, names and certificates, is there as well."""
        authority, certificate, key = self.certificates("db.example")
        cluster = postgres.Cluster(settings={"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}, tcp=True)
        self.addCleanup(cluster.close)
        where = {"PGHOST": "db.example", "PGPORT": str(cluster.port), "PGDATABASE": "postgres", "PGUSER": postgres.SUPERUSER,
                 "PGSSLMODE": "verify-full"}
        files = {"password": cluster.password, "ca.crt": authority}
        sidecar = self.begin("postgresql", **where, PGSSLROOTCERT="/etc/prism-postgresql/ca.crt", SECRET=self.secret(files))
        done = sidecar.run("prism", "sql", "select version from pg_stat_ssl where pid = pg_backend_pid()", user=APP_USER)
        self.assertEqual((done.returncode, done.stderr), (0, ""), sidecar.log)
        self.assertIn("TLSv1.", done.stdout)

        # The image's own bundle is read, and does not know this authority.
        sidecar = self.begin("postgresql", **where, PGSSLROOTCERT="/etc/ssl/certs/ca-certificates.crt", SECRET=self.secret(files))
        done = sidecar.run("prism", "kv", "get", "greeting", user=APP_USER)
        self.assertEqual(done.returncode, 1)
        self.assertIn("certificate verify failed", done.stderr)

    def secret(self, files):
        """As the kubelet mounts one with fsGroup and defaultMode 0440."""
        directory = tempfile.mkdtemp(dir=self.top)
        os.chmod(directory, 0o755)
        for name, text in files.items():
            path = os.path.join(directory, name)
            with open(path, "w") as file:
                file.write(text)
            os.chown(path, 0, GROUP)
            os.chmod(path, 0o440)
        return directory

    def certificates(self, name):
        """An authority (text), and a certificate and key of it for `name` that PostgreSQL's user may read (paths)."""
        directory = tempfile.mkdtemp(dir=self.top)
        os.chmod(directory, 0o755)

        def openssl(*arguments):
            done = subprocess.run(["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

        new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
        openssl("req", "-x509", "-days", "2", *new_key, "ca.key", "-out", "ca.crt", "-subj", "/CN=authority")
        openssl("req", *new_key, "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
        with open(os.path.join(directory, "extensions"), "w") as file:
            file.write(f"subjectAltName=DNS:{name}\n")
        openssl("x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile",
                "extensions", "-out", "server.crt")
        owner = postgres.as_server_user()
        for path in ("server.crt", "server.key"):
            os.chmod(os.path.join(directory, path), 0o600)
            os.chown(os.path.join(directory, path), owner["user"], owner["group"])
        with open(os.path.join(directory, "ca.crt")) as file:
            return file.read(), os.path.join(directory, "server.crt"), os.path.join(directory, "server.key")

    def until(self, condition):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"not in {START_SECONDS_MAX} s")
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
