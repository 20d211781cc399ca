"""What an API server would refuse or silently misread, found offline: fields by the schemas of one Kubernetes version, values
of enumerations (the published schemas have them as plain strings), and names that have to lead somewhere.

Call kustomize.tools() first. Custom resources have their schemas in schemas/.
"""

import json
import os
import re

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")

# By the field and the one it stands in ("*": any). From the API reference; only what k8s/ uses or is likely to.
ENUMERATIONS = {
    ("initContainers", "restartPolicy"): {"Always"},
    ("*", "imagePullPolicy"): {"Always", "IfNotPresent", "Never"},
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
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        found += [f"{name}: {problem}" for problem in
                  schema_problems(document, version) + enumeration_problems(document) + name_problems(document, documents)]
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
    made = {(other["kind"], other["metadata"]["name"]) for other in documents}

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
        for port in container.get("ports", []):
            if "name" in port and not re.fullmatch(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", port["name"]):
                found.append(f"{container['name']}: {port['name']} is no name of a port")
        for source in container.get("envFrom", []):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if field in source and (kind, source[field]["name"]) not in made:
                    found.append(f"{container['name']}: no {kind} {source[field]['name']}")
    for volume in pod.get("volumes", []):
        for field, key, kind in (("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret")):
            if field in volume and (kind, volume[field][key]) not in made:
                found.append(f"volume {volume['name']}: no {kind} {volume[field][key]}")
    selector = document["spec"].get("selector", {}).get("matchLabels", {})
    if not selector.items() <= template.get("metadata", {}).get("labels", {}).items():
        found.append("the selector does not match the pod's labels")
    return found
