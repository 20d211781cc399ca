"""The components add the sidecar to workloads as people write them, and change nothing else of them."""

import copy
import itertools
import os
import re
import unittest

import yaml

import kustomize
import manifest_rules
import paths

SOCKET = {"name": "PRISM_SOCKET", "value": "/run/prism/prism.sock"}
MOUNT = {"name": "prism-socket", "mountPath": "/run/prism", "readOnly": True}
ADDED_VOLUMES = {"prism-socket", "prism-config", "prism-data"}
IMAGES = [{"name": "prism", "newName": "registry.example/prism", "newTag": "latest"}]

# Pod specs as people have them.
SHAPES = {
    "plain": {"containers": [{"name": "whatever", "image": "x"}]},
    "lists": {
        "containers": [{"name": "app", "image": "x", "env": [{"name": "A", "value": "b"}],
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}],
        "volumes": [{"name": "tmp", "emptyDir": {}}]},
    "several containers": {
        "containers": [{"name": "web", "image": "x", "env": [{"name": "A", "value": "b"}]}, {"name": "worker", "image": "y"}]},
    "init containers": {
        "initContainers": [{"name": "migrate", "image": "m", "env": [{"name": "A", "value": "b"}]}],
        "containers": [{"name": "app", "image": "x"}]},
    "another sidecar": {
        "initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "x"}]},
    "security": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "app", "image": "x", "securityContext": {"allowPrivilegeEscalation": False}}]},
    "names like Prism's": {
        "initContainers": [{"name": "prism-migrate", "image": "m", "env": [{"name": "PRISM_SOCKET_WAIT", "value": "5s"}],
                            "volumeMounts": [{"name": "run", "mountPath": "/run/prism-migrate"}]}],
        "containers": [{"name": "app", "image": "x", "env": [{"name": "MY_PRISM_SOCKET", "value": "b"}],
                        "volumeMounts": [{"name": "run", "mountPath": "/var/run/prism"}]}],
        "volumes": [{"name": "run", "emptyDir": {}}]},
    "long grace period": {
        "terminationGracePeriodSeconds": 120, "containers": [{"name": "app", "image": "x"}]},
}


def setUpModule():
    kustomize.tools()


def workload(kind, pod, name="shop", **metadata):
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": copy.deepcopy(pod)}
    spec = {"template": template}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
    else:
        spec["selector"] = {"matchLabels": {"app": "shop"}}
    if kind == "StatefulSet":
        spec["serviceName"] = "shop"
    return {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind,
            "metadata": {"name": name, **metadata}, "spec": spec}


def every_workload(shapes):
    """One of each kind and shape, and what it is called."""
    def named(shape):
        return re.sub("[^a-z]+", "-", shape.lower())
    return {(kind, named(shape)): workload(kind, SHAPES[shape], name=named(shape))
            for kind, shape in itertools.product(kustomize.WORKLOADS, shapes)}


def without_prism(document):
    """The workload with what the component promises to add taken away again."""
    stripped = copy.deepcopy(document)
    template = stripped["spec"]["template"]
    pod = template["spec"]
    del template["metadata"]["labels"]["prism"]

    def drop(holder, field, unwanted):
        holder[field] = [each for each in holder[field] if not unwanted(each)]
        if not holder[field]:
            del holder[field]

    drop(pod, "volumes", lambda volume: volume["name"] in ADDED_VOLUMES)
    drop(pod, "initContainers", lambda container: container["name"] == "prism")
    for container in pod.get("initContainers", []) + pod["containers"]:
        drop(container, "env", lambda variable: variable == SOCKET)
        drop(container, "volumeMounts", lambda mount: mount == MOUNT)
    context = pod["securityContext"]
    assert context.pop("fsGroup") == 2000
    assert context.pop("fsGroupChangePolicy") == "OnRootMismatch"
    if not context:
        del pod["securityContext"]
    return stripped


def with_component(resources, *components, **more):
    return kustomize.render_with({"resources": ["app.yaml"], "images": IMAGES,
                                  "components": [f"../k8s/{name}" for name in components], **more}, app_yaml=resources)


class ComponentTests(unittest.TestCase):
    def test_workloads_of_every_shape_and_kind(self):
        originals = every_workload(SHAPES)
        documents = with_component(list(originals.values()), "component")
        self.assertEqual(manifest_rules.problems(documents, "1.33"), [])
        for key, original in originals.items():
            with self.subTest(workload=key):
                rendered = kustomize.named(documents, *key)
                # Nothing was lost or changed.
                self.assertEqual(without_prism(rendered), original)
                spec = kustomize.pod(rendered)
                first, *others = spec["initContainers"]
                self.assertEqual((first["name"], first["restartPolicy"], first["image"]),
                                 ("prism", "Always", "registry.example/prism:latest"))
                self.assertIn({"name": "prism-socket", "mountPath": "/run/prism"}, first["volumeMounts"])
                for container in others + spec["containers"]:
                    self.assertIn(SOCKET, container["env"])
                    self.assertIn(MOUNT, container["volumeMounts"])

    def test_several_workloads_and_one_that_is_left_alone(self):
        left = workload("StatefulSet", SHAPES["plain"], annotations={"prism": "none"})
        left["metadata"]["name"] = "database"
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}}}
        documents = with_component([workload("Deployment", SHAPES["lists"]), workload("Job", SHAPES["plain"]), left, service],
                                   "component", namePrefix="eu-")
        self.assertEqual(len(documents), 5)  # and the ConfigMap
        expected = copy.deepcopy(left)
        expected["metadata"]["name"] = "eu-database"
        self.assertEqual(kustomize.only(documents, "StatefulSet"), {
            **expected, "spec": {**expected["spec"], "serviceName": kustomize.only(documents, "StatefulSet")["spec"]["serviceName"]}})
        for kind in ("Deployment", "Job"):
            self.assertEqual(kustomize.sidecar(kustomize.pod(kustomize.only(documents, kind)))["name"], "prism")
        self.assertEqual(manifest_rules.problems(documents, "1.33"), [])

    def test_an_fs_group_of_the_workload_is_never_changed(self):
        original = workload("Deployment", {**SHAPES["plain"], "securityContext": {"fsGroup": 1000}})
        with self.assertRaisesRegex(kustomize.BuildError, "(?s)test.*/spec/template/spec/securityContext/fsGroup"):
            with_component(original, "component")
        rendered = kustomize.workload(with_component(original, "component-own-fs-group"))
        self.assertEqual(kustomize.pod(rendered)["securityContext"], {"fsGroup": 1000})
        self.assertEqual(kustomize.sidecar(kustomize.pod(rendered))["name"], "prism")

    def test_the_configuration_can_be_replaced_and_rolls_the_pods(self):
        before = with_component(workload("Deployment", SHAPES["plain"]), "component")
        mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prism"}, "data": {"prism.yaml": "log: {level: debug}\n"}}
        after = kustomize.render_with({"resources": ["app.yaml"], "components": ["../k8s/component"],
                                       "patches": [{"path": "mine.yaml"}]},
                                      app_yaml=workload("Deployment", SHAPES["plain"]), mine_yaml=mine)
        self.assertEqual(kustomize.configuration(after), "log: {level: debug}\n")
        names = [kustomize.only(documents, "ConfigMap")["metadata"]["name"] for documents in (before, after)]
        self.assertEqual(len(set(names)), 2)
        self.assertEqual(manifest_rules.problems(after, "1.33"), [])


class RestrictedTests(unittest.TestCase):
    def test_the_sidecar_meets_the_restricted_profile_by_itself(self):
        """Pod Security Standards, "restricted": whatever the pod says, nothing of the sidecar breaks it."""
        for name in sorted(os.listdir(kustomize.EXAMPLES)):
            documents = kustomize.render(os.path.join(kustomize.EXAMPLES, name))
            if name == "orders":
                continue
            with self.subTest(example=name):
                spec = kustomize.pod(kustomize.workload(documents))
                context = kustomize.sidecar(spec)["securityContext"]
                self.assertIs(context["runAsNonRoot"], True)
                self.assertGreater(context["runAsUser"], 0)
                self.assertIs(context["allowPrivilegeEscalation"], False)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertIs(context["readOnlyRootFilesystem"], True)
                self.assertLessEqual({field for volume in spec["volumes"] for field in volume if field != "name"},
                                     {"configMap", "emptyDir", "secret", "persistentVolumeClaim"})
                self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & set(spec))
                writable = {mount["mountPath"] for mount in kustomize.sidecar(spec)["volumeMounts"] if not mount.get("readOnly")}
                self.assertLessEqual(writable, {"/run/prism", "/var/lib/prism"})


class ClassicTests(unittest.TestCase):
    def test_workloads_of_every_shape_and_kind(self):
        originals = every_workload(sorted(set(SHAPES) - {"long grace period", "another sidecar"}))
        documents = with_component(list(originals.values()), "classic")
        self.assertEqual(manifest_rules.problems(documents, "1.27"), [])
        for key, original in originals.items():
            with self.subTest(workload=key):
                spec, before = kustomize.pod(kustomize.named(documents, *key)), kustomize.pod(original)
                self.assertEqual([container["name"] for container in spec["containers"]],
                                 ["prism"] + [container["name"] for container in before["containers"]])
                self.assertEqual(spec.get("initContainers"), before.get("initContainers"))
                self.assertEqual(spec["terminationGracePeriodSeconds"], 30)
                for container in spec["containers"][1:]:
                    self.assertIn(SOCKET, container["env"])
                    self.assertIn(MOUNT, container["volumeMounts"])

    def test_a_grace_period_of_the_workload_is_never_changed(self):
        with self.assertRaisesRegex(kustomize.BuildError, "(?s)test.*/spec/template/spec/terminationGracePeriodSeconds"):
            with_component(workload("Deployment", SHAPES["long grace period"]), "classic")


class DocumentTests(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(paths.ROOT, "docs", "kubernetes.md")) as file:
            self.blocks = re.findall(r"^```yaml\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)

    def test_the_three_lines_of_the_page_are_those_of_the_example(self):
        lines = self.blocks[0].replace("PATH/TO/prism/k8s/", "../../").splitlines()
        self.assertEqual(len(lines), 3)
        with open(os.path.join(kustomize.EXAMPLES, "quickstart", "kustomization.yaml")) as file:
            self.assertEqual(file.read().splitlines(), ["resources: [../orders]", *lines])

    def test_what_the_page_says_to_add_builds(self):
        """Each further block of the page is added to a kustomization of a workload, and the result is sound."""
        built = 0
        for block in self.blocks[1:]:
            kustomization = yaml.safe_load(block.replace("PATH/TO/prism/k8s/", "../k8s/"))
            with self.subTest(block=block):
                files = {"app_yaml": workload("Deployment", SHAPES["lists"]), "password": "secret"}
                kustomization = {"components": ["../k8s/component"], **kustomization, "resources": ["app.yaml"]}
                kustomization.setdefault("images", IMAGES)
                documents = kustomize.render_with(kustomization, **files)
                self.assertEqual(manifest_rules.problems(documents, "1.33"), [])
                built += 1
        self.assertGreater(built, 0)


if __name__ == "__main__":
    unittest.main()
