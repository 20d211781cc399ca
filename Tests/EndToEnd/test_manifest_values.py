"""What manifest_values.py has to find: each mistake is made in a sound manifest, and named in the one problem that comes of it."""

import copy
import os
import unittest

import kustomize
import manifest_rules


def setUpModule():
    kustomize.tools()


def pod(documents):
    return kustomize.pod(kustomize.workload(documents))


def sidecar(documents):
    return kustomize.sidecar(pod(documents))


def volume(documents, kind):
    return next(each for each in pod(documents)["volumes"] if kind in each)


def claim(documents):
    return kustomize.workload(documents)["spec"]["volumeClaimTemplates"][0]["spec"]


def policy(documents):
    return kustomize.only(documents, "NetworkPolicy")["spec"]


def monitor(documents):
    return kustomize.only(documents, "PodMonitor")["spec"]


def service(documents):
    return kustomize.only(documents, "Service")["spec"]


# What the problem says, and the mistake.
POSTGRESQL = [
    ("livenessProbe: one of its kinds", lambda all: sidecar(all)["livenessProbe"].update(tcpSocket={"port": 9901})),
    ("livenessProbe: one of its kinds", lambda all: sidecar(all)["livenessProbe"].pop("exec")),
    ("livenessProbe: no port http", lambda all: sidecar(all).update(livenessProbe={"httpGet": {"port": "http"}})),
    ("preStop: one of its kinds", lambda all: sidecar(all)["lifecycle"].update(preStop={})),
    ("livenessProbe.successThreshold", lambda all: sidecar(all)["livenessProbe"].update(successThreshold=2)),
    ("periodSeconds: -1", lambda all: sidecar(all)["livenessProbe"].update(periodSeconds=-1)),
    ("limits.memory: '320mi'", lambda all: sidecar(all)["resources"]["limits"].update(memory="320mi")),
    ("more memory requested", lambda all: sidecar(all)["resources"]["requests"].update(memory="1Gi")),
    ("resource: 'memroy'", lambda all: sidecar(all)["resources"]["limits"].update(memroy="320Mi")),
    ("sizeLimit: '1MB'", lambda all: volume(all, "emptyDir")["emptyDir"].update(sizeLimit="1MB")),
    ("one of its kinds", lambda all: volume(all, "emptyDir").update(hostPath={"path": "/x"})),
    ("one of its kinds", lambda all: volume(all, "emptyDir").pop("emptyDir")),
    ("None is no image", lambda all: sidecar(all).pop("image")),
    ("prism:' is no image", lambda all: sidecar(all).update(image="registry.example/prism:")),
    ("container 'App': is no name", lambda all: pod(all)["containers"][0].update(name="App")),
    ("'all' is no capability", lambda all: sidecar(all)["securityContext"]["capabilities"].update(drop=["all"])),
    ("runAsUser 0", lambda all: sidecar(all)["securityContext"].update(runAsUser=0)),
    ("replicas: -1", lambda all: kustomize.workload(all)["spec"].update(replicas=-1)),
    ("terminationGracePeriodSeconds: -1", lambda all: pod(all).update(terminationGracePeriodSeconds=-1)),
    ("no Secret none", lambda all: sidecar(all)["env"].append(
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}})),
    ("both value and valueFrom", lambda all: sidecar(all)["env"][0].update(
        valueFrom={"fieldRef": {"fieldPath": "metadata.name"}})),
    ("fieldPath: 'metadata.nam'", lambda all: sidecar(all)["env"].append(
        {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nam"}}})),
    ("'A=B' is no name", lambda all: sidecar(all)["env"].append({"name": "A=B", "value": "x"})),
    ("no key passwort", lambda all: volume(all, "secret")["secret"].update(items=[{"key": "passwort", "path": "password"}])),
    ("defaultMode: 1440", lambda all: volume(all, "secret")["secret"].update(defaultMode=1440)),
    ("no Secret none", lambda all: pod(all)["volumes"].append(
        {"name": "x", "projected": {"sources": [{"secret": {"name": "none"}}]}})),
    ("no claim none", lambda all: pod(all)["volumes"].append(
        {"name": "x", "persistentVolumeClaim": {"claimName": "none"}})),
    ("is not base64", lambda all: kustomize.only(all, "Secret")["data"].update(password="%%%")),
    ("is there twice", lambda all: all.insert(0, copy.deepcopy(kustomize.only(all, "PodMonitor")))),
    ("metadata.name: 'Orders'", lambda all: kustomize.workload(all)["metadata"].update(name="Orders")),
    ("labels.x: 'a b'", lambda all: kustomize.workload(all)["spec"]["template"]["metadata"]["labels"].update(x="a b")),
    ("containerPort: 99010", lambda all: sidecar(all)["ports"][0].update(containerPort=99010)),
    ("port prism-admin twice", lambda all: sidecar(all)["ports"].append({"name": "prism-admin", "containerPort": 9902})),
    ("terminationMessagePolicy: 'Logs'", lambda all: sidecar(all).update(terminationMessagePolicy="Logs")),
    ("has no probes and hooks", lambda all: sidecar(all).pop("restartPolicy")),
    ("only init containers", lambda all: pod(all)["containers"][0].update(restartPolicy="Always")),
    ("port: 70000", lambda all: policy(all)["egress"][0]["ports"][0].update(port=70000)),
    ("selects no pod", lambda all: policy(all)["podSelector"]["matchLabels"].update(app="order")),
    ("selects no pod", lambda all: monitor(all)["selector"]["matchLabels"].update(prism="side")),
    ("no port metrics", lambda all: monitor(all)["podMetricsEndpoints"][0].update(port="metrics")),
    ("scrapeTimeout above", lambda all: monitor(all)["podMetricsEndpoints"][0].update(scrapeTimeout="30s")),
    ("group prism twice", lambda all: kustomize.only(all, "PrometheusRule")["spec"]["groups"].append(
        copy.deepcopy(kustomize.only(all, "PrometheusRule")["spec"]["groups"][0]))),
    ("has no kind", lambda all: kustomize.only(all, "Secret").pop("kind")),
]
SQLITE = [
    ("no Service order", lambda all: kustomize.workload(all)["spec"].update(serviceName="order")),
    ("storage: '1GB'", lambda all: claim(all)["resources"]["requests"].update(storage="1GB")),
    ("no accessModes", lambda all: claim(all).pop("accessModes")),
    ("no port web", lambda all: service(all)["ports"][0].update(targetPort="web")),
    ("selects no pod", lambda all: service(all)["selector"].update(app="order")),
    ("clusterIP: 'none'", lambda all: service(all).update(clusterIP="none")),
]


class ValueTests(unittest.TestCase):
    def test_every_mistake_is_found(self):
        for example, mistakes in (("postgresql", POSTGRESQL), ("sqlite", SQLITE)):
            documents = kustomize.render(os.path.join(kustomize.EXAMPLES, example))
            self.assertEqual(manifest_rules.problems(documents, "1.33"), [])
            for number, (says, change) in enumerate(mistakes):
                with self.subTest(example=example, number=number, says=says):
                    copied = copy.deepcopy(documents)
                    change(copied)
                    found = manifest_rules.problems(copied, "1.33")
                    self.assertTrue(found)
                    for problem in found:
                        self.assertIn(says, problem)


if __name__ == "__main__":
    unittest.main()
