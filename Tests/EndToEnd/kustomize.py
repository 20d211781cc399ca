"""Renders kustomizations with the kubectl that scripts/kubernetes-tools.sh fetches, offline."""

import os
import shutil
import subprocess
import sys
import tempfile

import yaml

import paths

K8S = os.path.join(paths.ROOT, "k8s")
EXAMPLES = os.path.join(K8S, "examples")
TOOLS = os.path.join(paths.ROOT, ".build", "kubernetes-tools")
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


class BuildError(Exception):
    """What kubectl said."""


def tools():
    """Fetches them if they are missing; not to have them is a failure. For setUpModule."""
    script = os.path.join(paths.ROOT, "scripts", "kubernetes-tools.sh")
    done = subprocess.run([script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise AssertionError(done.stdout)
    python = os.path.join(TOOLS, "python")
    if python not in sys.path:
        sys.path.append(python)


def render(directory):
    """The documents that `kubectl kustomize` prints."""
    done = subprocess.run([os.path.join(TOOLS, "kubectl"), "kustomize", directory], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode:
        raise BuildError(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def render_with(kustomization, **files):
    """Renders a kustomization (text or mapping) of its own directory, which has these files (name with _ for the dot) and
    k8s/ of this checkout beside it: ../k8s."""
    with tempfile.TemporaryDirectory(prefix="prism-kustomize-") as top:
        shutil.copytree(K8S, os.path.join(top, "k8s"))
        directory = os.path.join(top, "app")
        os.mkdir(directory)
        for name, content in {"kustomization_yaml": kustomization, **files}.items():
            text = content if isinstance(content, str) else yaml.safe_dump_all(
                content if isinstance(content, list) else [content])
            with open(os.path.join(directory, name.replace("_", ".")), "w") as file:
                file.write(text)
        return render(directory)


def only(documents, kind):
    (document,) = [document for document in documents if document["kind"] == kind]
    return document


def named(documents, kind, name):
    (document,) = [document for document in documents if (document["kind"], document["metadata"]["name"]) == (kind, name)]
    return document


def workload(documents):
    (document,) = [document for document in documents if document["kind"] in WORKLOADS]
    return document


def pod(document):
    return document["spec"]["template"]["spec"]


def sidecar(pod_spec):
    """The one container named prism, wherever it stands."""
    (found,) = [container for field in ("initContainers", "containers") for container in pod_spec.get(field, [])
                if container["name"] == "prism"]
    return found


def configuration(documents):
    """The text of prism.yaml in the ConfigMap that the pod mounts at /etc/prism."""
    spec = pod(workload(documents))
    (mount,) = [mount["name"] for mount in sidecar(spec)["volumeMounts"] if mount["mountPath"] == "/etc/prism"]
    (name,) = [volume["configMap"]["name"] for volume in spec["volumes"] if volume["name"] == mount]
    (data,) = [document["data"] for document in documents
               if document["kind"] == "ConfigMap" and document["metadata"]["name"] == name]
    return data["prism.yaml"]
