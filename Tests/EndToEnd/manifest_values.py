"""Values that an API server refuses although they have the right type, and names that lead nowhere, found offline. The schemas
say neither. manifest_rules calls this, for documents that the schemas accept.
"""

import base64
import binascii
import re

# From the API reference and the validation of API objects.
HANDLERS = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]*)?(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)")
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
RESOURCES = re.compile(r"cpu|memory|storage|ephemeral-storage|hugepages-.+|.+/.+")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9./_-]*(:[0-9]+/[a-z0-9./_-]+)?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
FIELD_PATH = re.compile(r"metadata\.(name|namespace|uid|(labels|annotations)\['.+'\])|spec\.(nodeName|serviceAccountName)|"
                        r"status\.(hostIPs?|podIPs?)")
# Numbers by the name of their field.
RANGES = {**dict.fromkeys(("containerPort", "port", "targetPort", "hostPort", "endPort"), (1, 65535)),
          **dict.fromkeys(("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"), (1, 1 << 31)),
          **dict.fromkeys(("replicas", "initialDelaySeconds", "terminationGracePeriodSeconds", "backoffLimit", "runAsUser",
                           "runAsGroup", "fsGroup"), (0, (1 << 31) - 1)),
          **dict.fromkeys(("defaultMode", "mode"), (0, 0o777))}


def value_problems(document):
    """Of one document."""
    found = []

    def check(what, value, pattern):
        if not pattern.fullmatch(str(value)):
            found.append(f"{what}: {value!r} is not allowed")

    def walk(value, field, path):
        if isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, field, f"{path}.{index}")
        elif isinstance(value, dict):
            if field in ("requests", "limits"):
                for name, quantity in value.items():
                    check(f"{path}: resource", name, RESOURCES)
                    check(f"{path}.{name}", quantity, QUANTITY)
            if field in ("matchLabels", "labels"):
                for name, label in value.items():
                    check(f"{path}.{name}", label, LABEL_VALUE)
            for name, inner in value.items():
                walk(inner, name, f"{path}.{name}")
        elif field == "sizeLimit":
            check(path, value, QUANTITY)
        elif field == "fieldPath":
            check(path, value, FIELD_PATH)
        elif field in RANGES and isinstance(value, int) and not RANGES[field][0] <= value <= RANGES[field][1]:
            found.append(f"{path}: {value} is not in {RANGES[field][0]}–{RANGES[field][1]}")

    walk({name: inner for name, inner in document.items() if name not in ("data", "stringData")}, "", document["kind"])
    check("metadata.name", document["metadata"]["name"], SUBDOMAIN)
    for claim in document.get("spec", {}).get("volumeClaimTemplates", []):
        if not claim["spec"].get("accessModes"):
            found.append(f"claim {claim['metadata']['name']}: no accessModes")
    if document["kind"] == "Service" and document["spec"].get("clusterIP", "None") != "None":
        check("spec.clusterIP", document["spec"]["clusterIP"], re.compile(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:]*"))
    if document["kind"] == "PodMonitor":
        for endpoint in document["spec"]["podMetricsEndpoints"]:
            if seconds(endpoint.get("scrapeTimeout", "0s")) > seconds(endpoint.get("interval", "1h")):
                found.append(f"{endpoint['port']}: scrapeTimeout above interval")
    if document["kind"] == "PrometheusRule":
        groups = [group["name"] for group in document["spec"]["groups"]]
        found += [f"group {name} twice" for name in sorted(set(groups)) if groups.count(name) > 1]
    if document["kind"] == "Secret":
        for name, text in document.get("data", {}).items():
            try:
                base64.b64decode(text, validate=True)
            except binascii.Error:
                found.append(f"data.{name}: is not base64")
    return found


def pod_problems(pod, claims):
    """Of the pod of a workload. `claims`: the names of the PersistentVolumeClaims that are made."""
    found = []
    init = pod.get("initContainers", [])
    for volume in pod.get("volumes", []):
        one(found, f"volume {volume['name']}", set(volume) - {"name"})
        check_name(found, "volume", volume["name"])
    for container in init + pod["containers"]:
        name = container["name"]
        check_name(found, "container", name)
        if not IMAGE.fullmatch(container.get("image", "")):
            found.append(f"{name}: {container.get('image')!r} is no image")
        for variable in container.get("env", []):
            if {"value", "valueFrom"} <= set(variable):
                found.append(f"{name}: {variable['name']} has both value and valueFrom")
            if not re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", variable["name"]):
                found.append(f"{name}: {variable['name']!r} is no name of a variable")
        hooks = container.get("lifecycle", {})
        for field, holder in [(field, container) for field in PROBES] + [(field, hooks) for field in ("postStart", "preStop")]:
            if field in holder:
                one(found, f"{name}: {field}", set(holder[field]) & HANDLERS)
                check_port(found, f"{name}: {field}", holder[field].get("httpGet", {}).get("port"), container)
        for field in ("startupProbe", "livenessProbe"):
            if container.get(field, {}).get("successThreshold", 1) != 1:
                found.append(f"{name}: {field}.successThreshold must be 1")
        if container in init and container.get("restartPolicy") != "Always" and set(container) & {*PROBES, "lifecycle"}:
            found.append(f"{name}: an init container that ends has no probes and hooks")
        if container not in init and "restartPolicy" in container:
            found.append(f"{name}: only init containers have a restartPolicy")
        context = container.get("securityContext", {})
        if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
            found.append(f"{name}: runAsNonRoot, and runAsUser 0")
        for capability in sum(context.get("capabilities", {}).values(), []):
            if capability != capability.upper():
                found.append(f"{name}: {capability!r} is no capability")
        requests, limits = (container.get("resources", {}).get(field, {}) for field in ("requests", "limits"))
        for resource in set(requests) & set(limits):
            both = (requests[resource], limits[resource])
            if all(QUANTITY.fullmatch(str(each)) for each in both) and amount(both[0]) > amount(both[1]):
                found.append(f"{name}: more {resource} requested than its limit")
        for port in container.get("ports", []):
            if "name" in port and not PORT_NAME.fullmatch(port["name"]):
                found.append(f"{name}: {port['name']} is no name of a port")
    for claim in [volume["persistentVolumeClaim"]["claimName"] for volume in pod.get("volumes", [])
                  if "persistentVolumeClaim" in volume]:
        if claim not in claims:
            found.append(f"no claim {claim}")
    return found


def one(found, what, choices):
    if len(choices) != 1:
        found.append(f"{what}: one of its kinds is needed, not {sorted(choices)}")


def check_name(found, what, name):
    if not LABEL.fullmatch(name):
        found.append(f"{what} {name!r}: is no name")


def check_port(found, what, port, container):
    if isinstance(port, str) and port not in [each.get("name") for each in container.get("ports", [])]:
        found.append(f"{what}: no port {port}")


def amount(quantity):
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity)).groups()
    return float(number) * UNITS.get(unit, 1)


def seconds(duration):
    """Of Prometheus: 1m30s."""
    return sum(float(number) * {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
               for number, unit in re.findall(r"([0-9]+)(ms|[smhd])", duration))


def keys_of(reference, documents, kind):
    """The keys in the ConfigMap or Secret of this name; None if there is none."""
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == (kind, reference):
            return {*document.get("data", {}), *document.get("stringData", {})}
    return None


def reference_problems(pod, documents):
    """ConfigMaps, Secrets and keys in them that containers and volumes name."""
    found = []

    def check(what, kind, name, *keys):
        there = keys_of(name, documents, kind)
        if there is None:
            found.append(f"{what}: no {kind} {name}")
        else:
            found.extend(f"{what}: no key {key} in {kind} {name}" for key in keys if key not in there)

    def items(source):
        return [item["key"] for item in source.get("items", [])]

    for container in pod.get("initContainers", []) + pod["containers"]:
        for source in container.get("envFrom", []):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if field in source:
                    check(container["name"], kind, source[field]["name"])
        for variable in container.get("env", []):
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                if field in variable.get("valueFrom", {}):
                    reference = variable["valueFrom"][field]
                    check(f"{container['name']}: {variable['name']}", kind, reference["name"], reference["key"])
    for volume in pod.get("volumes", []):
        what = f"volume {volume['name']}"
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            if "configMap" in source:
                check(what, "ConfigMap", source["configMap"].get("name"), *items(source["configMap"]))
            if "secret" in source:
                check(what, "Secret", source["secret"].get("secretName", source["secret"].get("name")), *items(source["secret"]))
    return found


def selection_problems(document, templates):
    """What Services, NetworkPolicies and PodMonitors select is there: `templates` are the pods of all workloads."""
    spec = document.get("spec", {})
    selector = {"Service": spec.get("selector"), "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
                "PodMonitor": spec.get("selector", {}).get("matchLabels")}.get(document["kind"])
    if not selector:
        return []
    pods = [template for template in templates if selector.items() <= template.get("metadata", {}).get("labels", {}).items()]
    if not pods:
        return [f"selects no pod: {selector}"]
    names = {"Service": [port.get("targetPort") for port in spec.get("ports", [])],
             "PodMonitor": [endpoint.get("port") for endpoint in spec.get("podMetricsEndpoints", [])]}.get(document["kind"], [])
    there = {port.get("name") for pod in pods for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
             for port in container.get("ports", [])}
    return [f"no port {name} in the pods it selects" for name in names if isinstance(name, str) and name not in there]
