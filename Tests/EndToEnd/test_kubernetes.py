"""What k8s/ renders holds together: paths, budgets and memory agree, and the sidecar runs with its configuration."""

import functools
import os
import re
import subprocess
import unittest

import yaml

import kustomize
import paths
import postgres
from harness import StartTestCase

# SIGKILL comes so long after the SIGTERM that ends a used-up grace period.
SIGKILL_AFTER_SECONDS = 2.0
# Where no manifest says otherwise.
GRACE_SECONDS = 30
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
NATIVE = ("quickstart", "sqlite", "postgresql", "job")


def setUpModule():
    kustomize.tools()


def seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def size(text):
    number, unit = re.fullmatch(r"([0-9]+)([A-Za-z]*)", str(text)).groups()
    return int(number) * SIZES[unit]


@functools.lru_cache(maxsize=None)
class Example:
    """An example as kubectl renders it; read only, so it is rendered once."""

    def __init__(self, name):
        self.documents = kustomize.render(os.path.join(kustomize.EXAMPLES, name))
        self.pod = kustomize.pod(kustomize.workload(self.documents))
        self.sidecar = kustomize.sidecar(self.pod)
        self.text = kustomize.configuration(self.documents)
        self.config = yaml.safe_load(self.text)
        self.environment = {variable["name"]: variable["value"] for variable in self.sidecar["env"]}
        self.mounts = {mount["mountPath"] for mount in self.sidecar["volumeMounts"]}

    def check(self, directory):
        """`prism config check` with the ConfigMap and the environment of the container."""
        path = os.path.join(directory, "prism.yaml")
        with open(path, "w") as file:
            file.write(self.text)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISM_")}
        return subprocess.run([paths.binary(), "config", "check", "--config", path, "--json"], capture_output=True, text=True,
                              env={**clean, **self.environment})


class ManifestTests(StartTestCase):
    def test_the_configurations_are_sound_and_without_warnings(self):
        for name in (*NATIVE, "classic"):
            with self.subTest(example=name):
                check = Example(name).check(self.directory())
                answer = yaml.safe_load(check.stdout)
                self.assertEqual((check.returncode, answer["sound"], answer["warnings"], answer["errors"], check.stderr),
                                 (0, True, [], [], ""))

    def test_paths_agree(self):
        for name in (*NATIVE, "classic"):
            with self.subTest(example=name):
                example = Example(name)
                self.assertEqual(example.sidecar["command"], ["prism", "serve", "--config", "/etc/prism/prism.yaml"])
                self.assertEqual(example.config["socket"]["path"], "/run/prism/prism.sock")
                self.assertEqual(example.environment["PRISM_SOCKET"], "/run/prism/prism.sock")
                # Neither the admin socket's place nor its mode is changed: the app may use data; it may not drain the pod.
                self.assertNotIn("admin", example.config)
                (backend,) = example.config["backends"]
                self.assertIn(os.path.dirname(backend.get("path") or backend["password_file"]), example.mounts)
                self.assertNotIn("path" if backend["kind"] == "postgresql" else "password_file", backend)
                if backend["kind"] == "postgresql":
                    self.assertIn(os.path.basename(backend["password_file"]), kustomize.only(example.documents, "Secret")["data"])

    def test_no_network_port_but_with_the_metrics_component(self):
        for name in (*NATIVE, "classic"):
            with self.subTest(example=name):
                example = Example(name)
                ports = example.sidecar.get("ports", [])
                self.assertEqual([port["containerPort"] for port in ports], [9901] if name == "postgresql" else [])
                self.assertEqual(example.environment.get("PRISM_ADMIN_TCP"), "0.0.0.0:9901" if ports else None)

    def test_native_budgets_fit_whatever_the_grace_period(self):
        for name in NATIVE:
            with self.subTest(example=name):
                example = Example(name)
                self.assertEqual(example.sidecar["restartPolicy"], "Always")
                self.assertEqual(example.environment["PRISM_DRAIN_MODE"], "native")
                self.assertEqual(example.sidecar["lifecycle"], {"preStop": {"exec": {"command": ["prism", "drain"]}}})
                self.assertLess(seconds(example.config["drain"]["after_sigterm"]), SIGKILL_AFTER_SECONDS)

    def test_classic_budgets_fit_the_grace_period(self):
        example = Example("classic")
        self.assertNotIn("restartPolicy", example.sidecar)
        self.assertEqual(example.environment["PRISM_DRAIN_MODE"], "classic")
        self.assertEqual(example.sidecar["lifecycle"]["preStop"], {"exec": {"command": ["prism", "drain", "--wait"]}})
        grace = example.pod["terminationGracePeriodSeconds"]
        self.assertEqual(grace, GRACE_SECONDS)
        self.assertEqual(seconds(example.environment["PRISM_DRAIN_GRACE_PERIOD"]), grace)
        self.assertLess(seconds(example.environment["PRISM_DRAIN_TOTAL"]) + SIGKILL_AFTER_SECONDS, grace)
        self.assertLess(seconds(example.config["drain"]["after_sigterm"]), seconds(example.environment["PRISM_DRAIN_TOTAL"]))

    def test_pools_are_small_and_empty_when_idle(self):
        for name in ("postgresql", "job"):
            (backend,) = Example(name).config["backends"]
            self.assertEqual((backend["connections_min"], backend["connections_max"]), (0, 4))

    def test_limits_fit_the_containers_memory(self):
        for name in (*NATIVE, "classic"):
            with self.subTest(example=name):
                example = Example(name)
                (backend,) = example.config["backends"]
                needed = size(example.config["limits"]["buffered_bytes"]) + (16 << 20)  # limits.decode_bytes
                if backend["kind"] == "sqlite":
                    needed += (size(backend["cache_size"]) + size(backend["statement_memory"])) * (
                        1 + backend["reader_connections"])
                self.assertLess(needed, 0.75 * size(example.sidecar["resources"]["limits"]["memory"]))

    def test_the_sidecar_runs_as_rendered(self):
        """Configuration, environment, probes and hook of the quickstart, in one order a kubelet uses them."""
        example = Example("quickstart")
        directory = self.directory()
        config = example.text.replace("/run/prism", directory).replace("/var/lib/prism", directory)
        self.assertEqual(config.count(directory), 2)
        environment = {name: value.replace("/run/prism", directory) for name, value in example.environment.items()}
        server = self.start(config=config, sqlite=False, directory=directory, environment=environment)

        def run(action):
            command = action["exec"]["command"]
            self.assertEqual(command[0], "prism")
            done = server.command(*command[1:])
            return done.returncode

        probes = [example.sidecar[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
        self.assertEqual([run(probe) for probe in probes], [0, 0, 0])
        client = self.client(server)
        client.put("k", b"v")
        self.assertEqual(run(example.sidecar["lifecycle"]["preStop"]), 0)
        self.assertEqual([run(probe) for probe in probes], [0, 1, 0])
        client.put("k", b"the app is finishing its work")
        client.close()
        self.assertEqual(server.stop(), 0, server.log)
        self.assertIn("drain_report", server.log)

    def test_the_classic_hooks_run_as_rendered(self):
        example = Example("classic")
        directory = self.directory()
        config = example.text.replace("/run/prism", directory).replace("/var/lib/prism", directory)
        environment = {name: value.replace("/run/prism", directory) for name, value in example.environment.items()}
        server = self.start(config=config, sqlite=False, directory=directory, environment={
            **environment, "PRISM_DRAIN_QUIET": "50ms"})
        lifecycle = example.sidecar["lifecycle"]
        done = server.command(*lifecycle["postStart"]["exec"]["command"][1:])
        self.assertEqual(done.returncode, 0, done.stderr)
        # No client is connected: the hook returns, and the sidecar ends by itself.
        done = server.command(*lifecycle["preStop"]["exec"]["command"][1:])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(server.wait(), 0, server.log)

    def test_postgresql_is_found_by_the_config_map_and_the_secret(self):
        example = Example("postgresql")
        (reference,) = example.sidecar["envFrom"]
        (where,) = [document["data"] for document in example.documents if document["kind"] == "ConfigMap"
                    and document["metadata"]["name"] == reference["configMapRef"]["name"]]
        self.assertEqual(set(where), {"PGHOST", "PGDATABASE", "PGUSER"})
        cluster = postgres.Cluster(tcp=True)
        self.addCleanup(cluster.close)
        directory = self.directory()
        with open(os.path.join(directory, "password"), "w") as file:
            file.write(cluster.password + "\n")
        config = example.text.replace("/run/prism", directory).replace("/etc/prism-postgresql", directory)
        environment = {name: value.replace("/run/prism", directory) for name, value in example.environment.items()
                       if name != "PRISM_ADMIN_TCP"}
        server = self.start(config=config, sqlite=False, directory=directory, environment={
            **environment, "PGHOST": "127.0.0.1", "PGPORT": str(cluster.port), "PGDATABASE": "postgres",
            "PGUSER": postgres.SUPERUSER})
        client = self.client(server)
        client.put("k", b"v")
        self.assertEqual(client.get("k").value, b"v")
        self.assertLessEqual(cluster.connections("postgres"), 4)


if __name__ == "__main__":
    unittest.main()
