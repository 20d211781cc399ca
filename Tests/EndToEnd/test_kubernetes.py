"""k8s/*.yaml holds together: field names, ports, paths and budgets agree, and the sidecar runs with its ConfigMap."""

import glob
import os
import re
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

import paths
from harness import StartTestCase

try:
    import yaml
except ImportError:
    yaml = None

MANIFEST = os.path.join(paths.ROOT, "k8s", "orders.yaml")
# SIGKILL comes so long after the SIGTERM that ends a used-up grace period.
SIGKILL_AFTER_SECONDS = 2.0
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}

# The kubelet ignores a misspelt field without a word, so names are held against these.
FIELDS = {
    "pod": {"terminationGracePeriodSeconds", "securityContext", "initContainers", "containers", "volumes"},
    "container": {"name", "image", "restartPolicy", "command", "args", "env", "ports", "startupProbe", "readinessProbe",
                  "livenessProbe", "lifecycle", "securityContext", "resources", "volumeMounts"},
    "probe": {"httpGet", "exec", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"},
    "podSecurity": {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"},
    "security": {"runAsUser", "runAsGroup", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"},
    "volume": {"name", "emptyDir", "configMap"},
    "mount": {"name", "mountPath", "readOnly"},
}


def seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def size(text):
    number, unit = re.fullmatch(r"([0-9]+)([A-Za-z]*)", str(text)).groups()
    return int(number) * SIZES[unit]


@unittest.skipUnless(yaml, "python3-yaml is not installed: scripts/install-dependencies.sh test")
class ManifestTests(StartTestCase):
    def setUp(self):
        with open(MANIFEST) as file:
            self.objects = {document["kind"]: document for document in yaml.safe_load_all(file)}
        self.set = self.objects["StatefulSet"]["spec"]
        self.pod = self.set["template"]["spec"]
        (self.sidecar,) = self.pod["initContainers"]
        (self.app,) = self.pod["containers"]
        self.text = self.objects["ConfigMap"]["data"]["prism.yaml"]
        self.config = yaml.safe_load(self.text)

    def test_every_manifest_parses(self):
        for path in glob.glob(os.path.join(paths.ROOT, "k8s", "*.yaml")):
            with open(path) as file:
                for document in yaml.safe_load_all(file):
                    self.assertLessEqual({"apiVersion", "kind", "metadata"}, set(document), path)

    def test_fields_are_spelt_as_kubernetes_spells_them(self):
        def known(kind, value):
            self.assertLessEqual(set(value), FIELDS[kind], kind)

        known("pod", self.pod)
        known("podSecurity", self.pod["securityContext"])
        for container in (self.sidecar, self.app):
            known("container", container)
            known("security", container["securityContext"])
            for mount in container["volumeMounts"]:
                known("mount", mount)
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                known("probe", container.get(name, {}))
        for volume in self.pod["volumes"]:
            known("volume", volume)

    def test_the_configuration_is_sound_and_without_warnings(self):
        path = os.path.join(self.directory(), "prism.yaml")
        with open(path, "w") as file:
            file.write(self.text)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISM_")}
        done = subprocess.run([paths.binary(), "config", "check", "--config", path], capture_output=True, text=True,
                              env=clean)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("warning", done.stdout)

    def test_ports_and_paths_agree(self):
        (port,) = self.sidecar["ports"]
        self.assertEqual(self.config["admin"]["tcp"], f"0.0.0.0:{port['containerPort']}")
        probes = {name: self.sidecar[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        self.assertEqual({name: probe["path"] for name, probe in probes.items()},
                         {"startupProbe": "/startupz", "readinessProbe": "/readyz", "livenessProbe": "/livez"})
        self.assertEqual({probe["port"] for probe in probes.values()}, {port["name"]})

        mounts = {mount["mountPath"]: mount["name"] for mount in self.sidecar["volumeMounts"]}
        command = self.sidecar["command"]
        self.assertEqual(command[:2], ["prism", "serve"])
        config_directory, config_file = os.path.split(command[command.index("--config") + 1])
        self.assertIn(config_file, self.objects["ConfigMap"]["data"])
        data = self.config["socket"]["path"]
        self.assertEqual(os.path.dirname(self.config["admin"]["socket"]), os.path.dirname(data))
        (backend,) = self.config["backends"]
        self.assertEqual(mounts, {os.path.dirname(data): "prism-socket", config_directory: "prism-config",
                                  os.path.dirname(backend["path"]): "prism-data"})
        self.assertIn({"name": "PRISM_SOCKET", "value": data}, self.app["env"])
        self.assertEqual([mount["mountPath"] for mount in self.app["volumeMounts"]], [os.path.dirname(data)])
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.assertIn("emptyDir", volumes["prism-socket"])
        self.assertEqual(volumes["prism-config"]["configMap"]["name"], self.objects["ConfigMap"]["metadata"]["name"])
        self.assertEqual(set(mounts.values()) - set(volumes),
                         {claim["metadata"]["name"] for claim in self.set["volumeClaimTemplates"]})

    def test_budgets_fit(self):
        self.assertEqual(self.sidecar["restartPolicy"], "Always")
        drain = self.config["drain"]
        self.assertEqual(drain["mode"], "native")
        self.assertEqual(self.sidecar["lifecycle"]["preStop"]["exec"]["command"], ["prism", "drain"])
        grace = self.pod["terminationGracePeriodSeconds"]
        self.assertEqual(seconds(drain["grace_period"]), grace)
        self.assertLess(seconds(drain["after_sigterm"]), SIGKILL_AFTER_SECONDS)
        self.assertLess(seconds(drain["after_sigterm"]), grace)

        (backend,) = self.config["backends"]
        decoded = 16 << 20  # limits.decode_bytes
        needed = (size(self.config["limits"]["buffered_bytes"]) + decoded
                  + (size(backend["cache_size"]) + size(backend["statement_memory"])) * (1 + backend["reader_connections"]))
        self.assertLess(needed, 0.75 * size(self.sidecar["resources"]["limits"]["memory"]))

    def test_the_two_containers_share_the_socket_by_group(self):
        group = self.pod["securityContext"]["fsGroup"]
        users = set()
        for container in (self.sidecar, self.app):
            context = container["securityContext"]
            users.add(context["runAsUser"])
            self.assertEqual(context["runAsGroup"], group)
            self.assertIs(context["allowPrivilegeEscalation"], False)
            self.assertIs(context["readOnlyRootFilesystem"], True)
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
        self.assertEqual(len(users), 2)
        self.assertNotIn("mode", self.config["admin"], "the app may use data; it may not drain the pod")

    def test_the_sidecar_runs_with_its_config_map(self):
        """As the kubelet does it: serve, the three probes on the admin port, preStop, SIGTERM."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = self.text.replace(self.config["backends"][0]["path"], "main.db")
        self.assertNotEqual(config, self.text)
        directory = self.directory()
        server = self.start(config=config, sqlite=False, directory=directory, environment={
            "PRISM_ADMIN_SOCKET": os.path.join(directory, "admin.sock"), "PRISM_ADMIN_TCP": f"127.0.0.1:{port}"})

        def probe(name):
            path = self.sidecar[name]["httpGet"]["path"]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        self.assertEqual([probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe")], [200, 200, 200])
        client = self.client(server)
        client.put("k", b"v")

        hook = self.sidecar["lifecycle"]["preStop"]["exec"]["command"]
        done = server.command(*hook[1:])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe")], [200, 503, 200])
        client.put("k", b"the app is finishing its work")
        client.close()
        self.assertEqual(server.stop(), 0, server.log)
        self.assertIn("drain_report", server.log)


if __name__ == "__main__":
    unittest.main()
