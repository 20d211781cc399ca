"""Private PostgreSQL clusters: a directory, a Unix socket in it, a log that tests can read; gone with the test run.

PostgreSQL refuses to run as root, so root starts it as the user `postgres`. The postmaster is told by the kernel when the
process that started it dies, whatever kills that, and then ends at once and takes its children along.
"""

import atexit
import ctypes
import glob
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0
SQL_SECONDS_MAX = 60
SUPERUSER = "postgres"

# Beside these a cluster is what initdb makes of it: fsync and full_page_writes are on. The sync method is of the recovery
# after a crash, which otherwise opens every file of the cluster and syncs it alone, for seconds.
SETTINGS = {
    "log_line_prefix": "%m [%p] %a %e ",
    "log_lock_waits": "off",
    "max_connections": "100",
    "recovery_init_sync_method": "syncfs",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}

_PREFIX = "prism-pg-"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def binaries():
    """The directory of initdb and postgres: PRISM_TEST_POSTGRESQL, else the newest of Debian's, else pg_config's; None."""
    named = os.environ.get("PRISM_TEST_POSTGRESQL")
    found = [named] if named else sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=_version, reverse=True)
    if not named and shutil.which("pg_config"):
        found.append(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True).stdout.strip())
    return next((path for path in found if os.access(os.path.join(path, "postgres"), os.X_OK)), None)


def _version(path):
    return [int(number) for number in re.findall(r"\d+", path)]


def why_not():
    """None when clusters can be started; else what is missing."""
    if binaries() is None:
        return "PostgreSQL's server is not installed: scripts/install-dependencies.sh test"
    if os.geteuid() == 0 and _server_user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres to run it as"
    return None


def needed(test):
    """Skips a test or a class where no cluster can be started."""
    return unittest.skipIf(why_not(), why_not() or "")(test)


def _server_user():
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _environment():
    """Without what would make psql or the server go elsewhere."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "LC_ALL": "C.UTF-8"}


def die_with_parent():
    # Behind the change of user, which would clear it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class Cluster:
    """A running cluster. `settings` go on top of SETTINGS; with `tcp` it also listens on a free port of 127.0.0.1, where
    it asks for `password`. On its socket, in a directory that only root and its own user may enter, it trusts."""

    def __init__(self, settings=None, tcp=False):
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)
        _remove_abandoned()
        self.settings = {**SETTINGS, **(settings or {})}
        self.password = secrets.token_hex(8)
        self.tcp_port = _free_port() if tcp else None
        self.process = None
        self.directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        self.data = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "log")
        self._databases = 0
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    # Where it is

    @property
    def port(self):
        """Names the socket file as well."""
        return self.tcp_port or 5432

    def conninfo(self, database="postgres", user=SUPERUSER, **more):
        """For libpq, over the socket."""
        parts = {"host": self.directory, "port": self.port, "dbname": database, "user": user, **more}
        return " ".join(f"{name}={value}" for name, value in parts.items())

    def tcp_conninfo(self, database="postgres", user=SUPERUSER, **more):
        """Over the loopback address, without the password."""
        return self.conninfo(database, user, **{"host": "127.0.0.1", **more})

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def log_mark(self):
        """A place in the log, for log_since."""
        return os.path.getsize(self.log_path)

    def log_since(self, mark):
        with open(self.log_path, "rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace")

    # SQL past Prism

    def sql(self, text, database="postgres", user=SUPERUSER, seconds=SQL_SECONDS_MAX):
        """Runs it by psql. One of its statements may return rows: they are answered, as tuples of text; NULL is an empty text."""
        done = subprocess.run(
            [os.path.join(binaries(), "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-R", "\x1e", "-f", "-",
             self.conninfo(database, user)],
            input=text, capture_output=True, text=True, timeout=seconds, env=_environment())
        if done.returncode != 0:
            raise AssertionError(f"psql: {done.stderr.strip()}\n{text}")
        output = done.stdout.removesuffix("\n")
        return [tuple(row.split("\x1f")) for row in output.split("\x1e")] if output else []

    def value(self, text, database="postgres", **options):
        """The first column of the first row."""
        return self.sql(text, database, **options)[0][0]

    def new_database(self):
        """A database of a test's own; its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.sql(f"create database {name}")
        return name

    def connections(self, database=None):
        """How many client connections the server has, psql's own not counted."""
        where = f"and datname = '{database}'" if database else ""
        return int(self.value("select count(*) from pg_stat_activity where backend_type = 'client backend' "
                              f"and pid <> pg_backend_pid() {where}"))

    # Starting, ending and harming it

    def start(self, settings=None):
        self.settings.update(settings or {})
        listen = "127.0.0.1" if self.tcp_port else ""
        fixed = {"listen_addresses": listen, "port": self.port, "unix_socket_directories": self.directory,
                 "unix_socket_permissions": "0777"}
        command = [os.path.join(binaries(), "postgres"), "-D", self.data]
        for name, value in {**self.settings, **fixed}.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                                            env=_environment(), preexec_fn=die_with_parent, **as_server_user())
        self.wait_until_ready()

    def wait_until_ready(self):
        """Until it takes connections, after a start or a crash of one of its processes."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"postgres exited with {self.process.returncode}:\n{self.log[-4000:]}")
            try:
                if self._says_ready():  # keeps the failed attempts out of its log
                    self.sql("select 1", seconds=10)
                    return
            except (AssertionError, subprocess.TimeoutExpired):
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"postgres was not ready in {START_SECONDS_MAX} s:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def _says_ready(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def stop(self, mode="fast"):
        """smart: when its clients have gone; fast: ends its clients, and with a checkpoint; immediate: as a crash."""
        if self.process is None or self.process.poll() is not None:
            return
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"postgres did not stop ({mode}) in {STOP_SECONDS_MAX} s:\n{self.log[-4000:]}") from None

    def restart(self, mode="fast", settings=None):
        self.stop(mode)
        self.start(settings)

    def crash(self):
        """An immediate stop and a start: what was committed is replayed from its log, all else is lost."""
        self.restart("immediate")

    def kill(self):
        """SIGKILL for the postmaster and all its processes, as when the machine goes."""
        if self.process is None:
            return
        if self.process.poll() is None:
            children = self.children()
            self.process.kill()
            self.process.wait()
            for pid in children:
                _kill(pid)
            # A cluster cannot start again before the last of them has let go of its shared memory.
            deadline = time.monotonic() + STOP_SECONDS_MAX
            while any(is_running(pid) for pid in children) and time.monotonic() < deadline:
                time.sleep(0.01)

    def kill_backend(self, pid):
        """SIGKILL for one of its processes: the postmaster ends all others and starts over, as after a crash."""
        if pid not in self.children():
            raise AssertionError(f"{pid} is no process of this cluster")
        _kill(pid)

    def children(self):
        """The postmaster's processes."""
        pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
        return [pid for pid in pids if _state_and_parent(pid)[1] == self.process.pid]

    def close(self):
        """Ends it for good, and removes its directory."""
        try:
            self.stop("immediate")
        finally:
            self.kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _initialise(self):
        user = as_server_user()
        password_path = os.path.join(self.directory, "password")
        with open(password_path, "w") as file:
            file.write(self.password)
        if user:
            for path in (self.directory, password_path):
                os.chown(path, user["user"], user["group"])
        done = subprocess.run(
            [os.path.join(binaries(), "initdb"), "-D", self.data, "-U", SUPERUSER, "--pwfile", password_path,
             "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            capture_output=True, text=True, timeout=120, cwd=self.directory, env=_environment(), **user)
        if done.returncode != 0:
            raise AssertionError(f"initdb: {done.stdout}{done.stderr}")
        with open(self.log_path, "ab"):
            pass


def as_server_user():
    """How subprocess starts what must not run as root."""
    if os.geteuid() != 0:
        return {}
    user = _server_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def is_running(pid):
    """Not one that has ended and that its parent has not collected yet."""
    return _state_and_parent(pid)[0] not in ("", "Z", "X")


def _state_and_parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name between parentheses may hold anything.
            state, parent = file.read().rpartition(")")[2].split()[:2]
            return state, int(parent)
    except OSError:
        return "", 0


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _remove_abandoned():
    """Directories of test runs that were killed; their clusters ended with them."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), f"{_PREFIX}*-*")):
        owner = re.match(rf"{_PREFIX}(\d+)-", os.path.basename(path))
        if owner and not os.path.exists(f"/proc/{owner.group(1)}"):
            shutil.rmtree(path, ignore_errors=True)


_shared = None


def shared():
    """The cluster that the tests of a run share, started when the first of them asks. Who harms it takes one of its own."""
    global _shared
    if _shared is None or _shared.process.poll() is not None:
        cluster, owner = Cluster(), os.getpid()
        # A forked child is not its owner.
        atexit.register(lambda: cluster.close() if os.getpid() == owner else None)
        _shared = cluster
    return _shared
