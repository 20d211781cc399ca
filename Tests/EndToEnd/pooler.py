"""PgBouncer in transaction mode before a cluster, on a Unix socket of its own; gone with the test run."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time

import postgres

PORT = 6432
START_SECONDS_MAX = 20.0


def why_not():
    if shutil.which("pgbouncer") is None and not os.path.exists("/usr/sbin/pgbouncer"):
        return "pgbouncer is not installed: scripts/install-dependencies.sh test"
    return postgres.why_not()


class Pooler:
    def __init__(self, cluster, pool_size=10, clients_max=500):
        self.directory = tempfile.mkdtemp(prefix="prism-pooler-")
        users = os.path.join(self.directory, "users")
        with open(users, "w") as file:
            file.write(f'"{postgres.SUPERUSER}" ""\n')
        settings = os.path.join(self.directory, "pgbouncer.ini")
        with open(settings, "w") as file:
            file.write(f"""[databases]
* = host={cluster.directory} port={cluster.port}
[pgbouncer]
listen_addr =
unix_socket_dir = {self.directory}
listen_port = {PORT}
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = {clients_max}
logfile = {self.directory}/log
""")
        user = postgres.as_server_user()
        if user:
            for path in (self.directory, users, settings):
                shutil.chown(path, postgres.SUPERUSER)
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.process = subprocess.Popen([program, "-q", settings], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=postgres.die_with_parent, **user)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def conninfo(self, database):
        return f"host={self.directory} port={PORT} dbname={database} user={postgres.SUPERUSER}"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait(self):
        path = os.path.join(self.directory, f".s.PGSQL.{PORT}")
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            assert self.process.poll() is None, "pgbouncer has ended"
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    return probe.connect(path)
                except OSError:
                    assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.01)


_shared = None


def shared():
    """Before the shared cluster. Debian's PgBouncer 1.18.0 ends by itself when a client leaves while its cancel is under way
    (pgbouncer issue 801): it is started again."""
    global _shared
    if _shared is None or _shared.process.poll() is not None:
        pooler, owner = Pooler(postgres.shared()), os.getpid()
        atexit.register(lambda: pooler.close() if os.getpid() == owner else None)
        _shared = pooler
    return _shared
