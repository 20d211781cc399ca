#!/usr/bin/env bash
# The Swift tests under the thread sanitizer and under the address sanitizer, each in a build folder of its own: one
# folder would rebuild everything at every change of sanitizer. Arguments go to `swift test`.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/install-dependencies.sh test || exit 1

# Reports end the process, so that no test passes over one.
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="halt_on_error=1 detect_leaks=0 ${ASAN_OPTIONS:-}"

failed=0
for sanitizer in thread address; do
    printf '\n==> %s sanitizer\n' "$sanitizer"
    swift test --scratch-path ".build/sanitize-$sanitizer" --sanitize "$sanitizer" --disable-xctest "$@" </dev/null ||
        failed=$((failed + 1))
done
if [ "$failed" -ne 0 ]; then
    echo "sanitize: $failed of 2 sanitizers found something or could not run" >&2
    exit 1
fi
echo "sanitize: thread and address found nothing"
