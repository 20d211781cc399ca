"""What an API server would refuse or silently misread, found offline: fields by the schemas of one Kubernetes version, values
of enumerations (the published schemas have them as plain strings), and names that have to lead somewhere.

Call kustomize.tools() first. Custom resources have their schemas in schemas/.
"""

import json
import os

from manifest_values import pod_problems, reference_problems, selection_problems, value_problems

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")

# By the field and the one it stands in ("*": any). From the API reference; only what k8s/ uses or is likely to.
ENUMERATIONS = {
    ("initContainers", "restartPolicy"): {"Always"},
    ("*", "imagePullPolicy"): {"Always", "IfNotPresent", "Never"},
    ("*", "terminationMessagePolicy"): {"File", "FallbackToLogsOnError"},
    ("securityContext", "supplementalGroupsPolicy"): {"Merge", "Strict"},
    ("spec", "completionMode"): {"NonIndexed", "Indexed"},
    ("spec", "podReplacementPolicy"): {"TerminatingOrFailed", "Failed"},
    ("emptyDir", "medium"): {"", "Memory"},
    ("seccompProfile", "type"): {"RuntimeDefault", "Localhost", "Unconfined"},
    ("securityContext", "fsGroupChangePolicy"): {"OnRootMismatch", "Always"},
    ("spec", "accessModes"): {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"},
    ("spec", "volumeMode"): {"Filesystem", "Block"},
    ("spec", "policyTypes"): {"Ingress", "Egress"},
    ("spec", "podManagementPolicy"): {"OrderedReady", "Parallel"},
    ("spec", "dnsPolicy"): {"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"},
    ("spec", "type"): {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"},
    ("ports", "protocol"): {"TCP", "UDP", "SCTP"},
    ("httpGet", "scheme"): {"HTTP", "HTTPS"},
    ("strategy", "type"): {"RollingUpdate", "Recreate"},
    ("updateStrategy", "type"): {"RollingUpdate", "OnDelete"},
    ("matchExpressions", "operator"): {"In", "NotIn", "Exists", "DoesNotExist"},
}
POD_RESTART_POLICIES = {"Deployment": {"Always"}, "StatefulSet": {"Always"}, "DaemonSet": {"Always"}, "Job": {"OnFailure", "Never"}}


def problems(documents, version):
    """Everything wrong with these documents on Kubernetes `version` ("1.33"), one line each."""
    found = []

    def note(document, problems):
        name = "/".join((document.get("kind", "?"), document.get("metadata", {}).get("name", "?")))
        found.extend(f"{name}: {problem}" for problem in problems)

    for document in documents:
        missing = [f"has no {field}" for field in ("apiVersion", "kind", "metadata") if field not in document]
        note(document, missing or schema_problems(document, version) or enumeration_problems(document))
    if found:
        return found  # What follows relies on fields that have to be there.
    templates = [document["spec"]["template"] for document in documents if document["kind"] in POD_RESTART_POLICIES]
    made = [(document["kind"], document["metadata"]["name"]) for document in documents]
    for document in documents:
        if made.count((document["kind"], document["metadata"]["name"])) > 1:
            note(document, ["is there twice"])
        note(document, value_problems(document) + name_problems(document, documents) + selection_problems(document, templates))
    return found


def schema_problems(document, version):
    import jsonschema
    from kubernetes_validate import utils
    custom = custom_schema(document)
    if custom is not None:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"
                for error in jsonschema.Draft202012Validator(custom).iter_errors(document)]
    if version not in [name.rsplit(".", 1)[0] for name in utils.all_versions()]:
        return [f"there are no schemas of Kubernetes {version}"]
    try:
        utils.validate(document, version, strict=True)
    except utils.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    except utils.SchemaNotFoundError as error:
        return [error.message]
    return []


def custom_schema(document):
    """Ours, for kinds of groups that are not Kubernetes' own; None for its own and for those that we have none of, which
    kubernetes-validate then does not find either."""
    group, _, version = document["apiVersion"].rpartition("/")
    path = os.path.join(SCHEMAS, f"{document['kind'].lower()}-{group.split('.')[0]}-{version}.json")
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def enumeration_problems(document):
    found = []

    def walk(value, parent, field, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, field, key, f"{path}.{key}")
            return
        if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
            for index, inner in enumerate(value):
                walk(inner, parent, field, f"{path}.{index}")
            return
        allowed = ENUMERATIONS.get((parent, field)) or ENUMERATIONS.get(("*", field))
        if allowed:
            found.extend(f"{path[1:]}: {single!r} is not one of {sorted(allowed)}"
                         for single in (value if isinstance(value, list) else [value]) if single not in allowed)

    walk(document, None, None, "")
    allowed = POD_RESTART_POLICIES.get(document["kind"])
    if allowed:
        policy = document["spec"]["template"]["spec"].get("restartPolicy", "Always")
        if policy not in allowed:
            found.append(f"spec.template.spec.restartPolicy: {policy!r} is not one of {sorted(allowed)}")
    return found


def name_problems(document, documents):
    """Volumes, ports, ConfigMaps, Secrets and labels that are named lead somewhere."""
    if document["kind"] not in POD_RESTART_POLICIES:
        return []
    found = []
    template = document["spec"]["template"]
    pod = template["spec"]
    containers = pod.get("initContainers", []) + pod["containers"]
    claims = [claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])]
    volumes = [volume["name"] for volume in pod.get("volumes", [])] + claims

    def unique(what, names):
        found.extend(f"{what} {name} twice" for name in set(names) if names.count(name) > 1)

    unique("container", [container["name"] for container in containers])
    unique("volume", volumes)
    for container in containers:
        unique(f"{container['name']}: variable", [variable["name"] for variable in container.get("env", [])])
        unique(f"{container['name']}: mount at", [mount["mountPath"] for mount in container.get("volumeMounts", [])])
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                found.append(f"{container['name']}: no volume {mount['name']}")
    unique("port", [port["name"] for container in containers for port in container.get("ports", []) if "name" in port])
    found += pod_problems(pod, [other["metadata"]["name"] for other in documents if other["kind"] == "PersistentVolumeClaim"])
    found += reference_problems(pod, documents)
    services = [other["metadata"]["name"] for other in documents if other["kind"] == "Service"]
    if services and document["spec"].get("serviceName") not in [None, *services]:
        found.append(f"no Service {document['spec']['serviceName']}")
    selector = document["spec"].get("selector", {}).get("matchLabels", {})
    if not selector.items() <= template.get("metadata", {}).get("labels", {}).items():
        found.append("the selector does not match the pod's labels")
    return found
