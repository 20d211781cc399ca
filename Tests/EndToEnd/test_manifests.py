"""k8s/ as an API server would see it, for several Kubernetes versions, and what the validation itself has to find."""

import copy
import os
import re
import unittest

import kustomize
import manifest_rules
import paths

# Native sidecars came with 1.29; the classic variant is for those before.
NATIVE = ("1.29", "1.31", "1.33", "1.35", "1.37")
CLASSIC = ("1.26", "1.28", "1.37")


def setUpModule():
    kustomize.tools()


def examples():
    return sorted(os.listdir(kustomize.EXAMPLES))


class ValidationTests(unittest.TestCase):
    def test_every_example_is_sound_on_every_version(self):
        self.assertIn("quickstart", examples())
        for name in examples():
            documents = kustomize.render(os.path.join(kustomize.EXAMPLES, name))
            for version in CLASSIC if name == "classic" else NATIVE:
                with self.subTest(example=name, version=version):
                    self.assertEqual(manifest_rules.problems(documents, version), [])

    def test_every_kustomization_is_built_by_an_example(self):
        """Nothing in k8s/ goes unseen by the test above."""
        built = set()

        def visit(directory):
            directory = os.path.normpath(directory)
            if directory in built:
                return
            built.add(directory)
            import yaml
            with open(os.path.join(directory, "kustomization.yaml")) as file:
                kustomization = yaml.safe_load(file)
            for entry in kustomization.get("resources", []) + kustomization.get("components", []):
                if not entry.endswith(".yaml"):
                    visit(os.path.join(directory, entry))

        for name in examples():
            visit(os.path.join(kustomize.EXAMPLES, name))
        there = {directory for directory, _, files in os.walk(kustomize.K8S) if "kustomization.yaml" in files}
        self.assertEqual(there, built)


class FindingTests(unittest.TestCase):
    """Each mistake is made in a sound manifest, and found."""

    @classmethod
    def setUpClass(cls):
        cls.documents = kustomize.render(os.path.join(kustomize.EXAMPLES, "postgresql"))
        cls.volume = kustomize.render(os.path.join(kustomize.EXAMPLES, "sqlite"))

    def found(self, change, documents=None, version="1.33"):
        """The problems after `change`, which gets what it likes by kind."""
        copied = copy.deepcopy(documents or self.documents)
        self.assertEqual(manifest_rules.problems(copied, version), [])
        change(copied)
        return manifest_rules.problems(copied, version)

    def assert_found(self, pattern, change, **options):
        found = self.found(change, **options)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], pattern)

    @staticmethod
    def sidecar(documents):
        return kustomize.sidecar(kustomize.pod(kustomize.workload(documents)))

    def test_misspelt_fields(self):
        def rename(mapping, name, wrong):
            mapping[wrong] = mapping.pop(name)

        self.assert_found("periodSecond", lambda all: rename(self.sidecar(all)["readinessProbe"], "periodSeconds",
                                                             "periodSecond"))
        self.assert_found("terminationGracePeriod", lambda all: kustomize.pod(kustomize.workload(all)).update(
            terminationGracePeriod=30))
        self.assert_found("policyType", lambda all: rename(kustomize.only(all, "NetworkPolicy")["spec"], "policyTypes",
                                                           "policyType"))
        self.assert_found("scrapeTimeOut", lambda all: rename(
            kustomize.only(all, "PodMonitor")["spec"]["podMetricsEndpoints"][0], "scrapeTimeout", "scrapeTimeOut"))
        self.assert_found("annotation", lambda all: rename(
            kustomize.only(all, "PrometheusRule")["spec"]["groups"][0]["rules"][0], "annotations", "annotation"))

    def test_wrong_types(self):
        self.assert_found("failureThreshold", lambda all: self.sidecar(all)["startupProbe"].update(failureThreshold="30"))
        self.assert_found("readOnly", lambda all: kustomize.pod(kustomize.workload(all))["containers"][0]["volumeMounts"][0]
                          .update(readOnly="true"))

    def test_wrong_enumerations(self):
        self.assert_found("restartPolicy: 'always'", lambda all: self.sidecar(all).update(restartPolicy="always"))
        self.assert_found("medium: 'memory'", lambda all: next(
            volume["emptyDir"] for volume in kustomize.pod(kustomize.workload(all))["volumes"]
            if volume["name"] == "prism-socket").update(medium="memory"))
        self.assert_found("type: 'runtime/default'", lambda all: self.sidecar(all)["securityContext"]["seccompProfile"]
                          .update(type="runtime/default"))
        self.assert_found("policyTypes: 'ingress'", lambda all: kustomize.only(all, "NetworkPolicy")["spec"].update(
            policyTypes=["Ingress", "ingress"]))
        self.assert_found("accessModes: 'ReadWriteOncepod'", lambda all: kustomize.workload(all)["spec"][
            "volumeClaimTemplates"][0]["spec"].update(accessModes=["ReadWriteOncepod"]), documents=self.volume)
        self.assert_found("spec.restartPolicy: 'Never'", lambda all: kustomize.pod(kustomize.workload(all)).update(
            restartPolicy="Never"))
        self.assert_found("port.*interval|interval.*15", lambda all: kustomize.only(all, "PodMonitor")["spec"][
            "podMetricsEndpoints"][0].update(interval="15 seconds"))

    def test_names_that_lead_nowhere(self):
        self.assert_found("no volume prism-sockets", lambda all: self.sidecar(all)["volumeMounts"].append(
            {"name": "prism-sockets", "mountPath": "/elsewhere"}))
        self.assert_found("no ConfigMap", lambda all: self.sidecar(all)["envFrom"][0]["configMapRef"].update(name="prism"))
        self.assert_found("no Secret", lambda all: all.remove(kustomize.only(all, "Secret")))
        self.assert_found("selector", lambda all: kustomize.workload(all)["spec"]["selector"]["matchLabels"].update(app="order"))

    def test_kinds_and_versions_without_a_schema(self):
        self.assert_found("(?i)schema for kind ServiceMonitor", lambda all: kustomize.only(all, "PodMonitor").update(
            kind="ServiceMonitor"))
        self.assert_found("apps/v1beta1", lambda all: kustomize.workload(all).update(apiVersion="apps/v1beta1"))
        found = manifest_rules.problems([self.volume[0]], "1.99")
        self.assertEqual([problem.split(": ", 1)[1] for problem in found], ["there are no schemas of Kubernetes 1.99"])
        # A native sidecar, on a version that does not know them.
        self.assertTrue(any("restartPolicy" in problem for problem in manifest_rules.problems(self.volume, "1.27")))


class AlertTests(unittest.TestCase):
    """Alert rules name metrics and labels that are there: docs/metrics.md, which test_metrics holds against what is printed."""

    def setUp(self):
        documents = kustomize.render(os.path.join(kustomize.EXAMPLES, "postgresql"))
        self.rules = [rule for group in kustomize.only(documents, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
        with open(os.path.join(paths.ROOT, "docs", "metrics.md")) as file:
            rows = re.findall(r"^\| `(prism_[a-z_]+)` \| (\w+) \| ([^|]*)\|", file.read(), re.MULTILINE)
        self.metrics = {}
        for name, kind, labels in rows:
            names = [name + suffix for suffix in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]
            for each in names:
                self.metrics[each] = set(re.findall(r"`(\w+)`", labels)) | ({"le"} if each.endswith("_bucket") else set())

    def unknown(self, expression):
        names = set(re.findall(r"\bprism_[a-z_]+", expression))
        found = names - set(self.metrics)
        known = set.union({"namespace", "pod", "container", "job"}, *(self.metrics[name] for name in names & set(self.metrics)))
        for labels in re.findall(r"\bby \(([^)]*)\)", expression):
            found |= {label.strip() for label in labels.split(",")} - known
        for name, matchers in re.findall(r"\b(prism_[a-z_]+)\{([^}]*)\}", expression):
            found |= set(re.findall(r'(\w+)\s*[=!]', matchers)) - self.metrics.get(name, set())
        return names, found

    def test_metrics_and_labels_exist(self):
        self.assertGreater(len(self.metrics), 20)
        for rule in self.rules:
            names, unknown = self.unknown(rule["expr"])
            self.assertTrue(names, rule["alert"])
            self.assertEqual(unknown, set(), rule["alert"])
        self.assertEqual(len({rule["alert"] for rule in self.rules}), len(self.rules))

    def test_the_first_request_of_a_code_is_seen(self):
        """A series of prism_requests_total begins with 1: rate() and increase() of it are 0 until the second request."""
        rules = [rule for rule in self.rules if "prism_requests_total" in rule["expr"]]
        self.assertTrue(rules)
        for rule in rules:
            self.assertRegex(rule["expr"], r"(?s)unless .*prism_requests_total\{.*\} offset \d+m", rule["alert"])

    def test_annotations_name_labels_that_the_expression_leaves(self):
        for rule in self.rules:
            by = re.search(r"\bby \(([^)]*)\)", rule["expr"])
            (name, *_), _ = self.unknown(rule["expr"])
            left = ({label.strip() for label in by[1].split(",")} if by
                    else self.metrics[name] | {"namespace", "pod", "container", "job"})
            for text in rule["annotations"].values():
                self.assertLessEqual(set(re.findall(r"\$labels\.(\w+)", text)), left, rule["alert"])

    def test_a_metric_and_a_label_that_do_not_exist_are_found(self):
        self.assertEqual(self.unknown("prism_backend_health == 0")[1], {"prism_backend_health"})
        self.assertEqual(self.unknown('rate(prism_requests_total{status="INTERNAL"}[5m])')[1], {"status"})
        self.assertEqual(self.unknown("sum by (uid) (prism_clients)")[1], {"uid"})


if __name__ == "__main__":
    unittest.main()
