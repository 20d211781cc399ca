#!/usr/bin/env bash
# Builds the container image out of Containerfile, with docker or buildah, and prints its size.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
Usage: make image ARGUMENTS="... [-- ARGUMENTS OF THE ENGINE'S BUILD]"
  --tag NAME             what the image is called (prism:latest)
  --engine NAME          docker or buildah; else the first that works here
  --build-image IMAGE    what the binary is compiled in: Debian 12 with Swift (swift:6.1-bookworm)
  --runtime-image IMAGE  what it goes on top of, of the same Debian release (scratch: nothing)
  --prebuilt BINARY      take this binary instead of compiling one; the build image then needs no Swift
  --rootfs FILE          a tar of a Debian root file system as the build image, and no registry; buildah only
  --toolchain DIR        mount a Swift toolchain (its usr/bin/swift) into the build; buildah only
TEXT
}

fail() {
    echo "image: $*" >&2
    exit 1
}

tag=prism:latest engine='' build_image='' runtime_image='' prebuilt='' rootfs='' toolchain=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit
        ;;
    --tag | --engine | --build-image | --runtime-image | --prebuilt | --rootfs | --toolchain)
        [ $# -ge 2 ] || fail "$1 needs a value"
        name=${1#--}
        printf -v "${name//-/_}" '%s' "$2"
        shift 2
        ;;
    --)
        shift
        break
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

if [ -z "$engine" ]; then
    if docker info >/dev/null 2>&1; then
        engine=docker
    elif command -v buildah >/dev/null; then
        engine=buildah
    else
        fail "neither a running docker nor buildah; on Debian: apt-get install buildah"
    fi
fi
if [ "$engine" != buildah ] && [ -n "$rootfs$toolchain" ]; then fail "--rootfs and --toolchain are for buildah"; fi

arguments=("$@")
# Root in a container or a virtual machine can do without the kernel's help: no namespaces of its own, plain copies for layers.
buildah_options=(--storage-driver "${STORAGE_DRIVER:-vfs}")
isolation=${BUILDAH_ISOLATION:-chroot}

if [ -n "$rootfs" ]; then
    [ -f "$rootfs" ] || fail "$rootfs is not there"
    container=$(buildah "${buildah_options[@]}" from scratch)
    buildah "${buildah_options[@]}" add --quiet "$container" "$rootfs" / >/dev/null
    buildah "${buildah_options[@]}" commit --quiet --rm "$container" localhost/prism-build-base >/dev/null
    build_image=localhost/prism-build-base
fi
[ -z "$build_image" ] || arguments+=(--build-arg "BUILD_IMAGE=$build_image")
[ -z "$runtime_image" ] || arguments+=(--build-arg "RUNTIME_IMAGE=$runtime_image")
rm -rf .build/image
mkdir -p .build/image
if [ -n "$prebuilt" ]; then
    cp "$prebuilt" .build/image/prism
    arguments+=(--build-arg PREBUILT=.build/image/prism)
fi
if [ -n "$toolchain" ]; then
    arguments+=(--volume "$toolchain:$toolchain:ro" --build-arg "TOOLCHAIN=$toolchain")
fi

case $engine in
docker)
    docker build --file Containerfile --tag "$tag" "${arguments[@]}" .
    ;;
buildah)
    buildah "${buildah_options[@]}" build --isolation "$isolation" --file Containerfile --tag "$tag" "${arguments[@]}" .
    ;;
*) fail "unknown engine $engine" ;;
esac
rm -rf .build/image
echo "image: $tag"
# Plain "buildah images" looks elsewhere.
[ "$engine" != buildah ] || echo "image: to push it: buildah ${buildah_options[*]} push $tag docker://REGISTRY/$tag"
