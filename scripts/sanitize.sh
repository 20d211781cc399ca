#!/usr/bin/env bash
# The Swift tests under the thread sanitizer and under the address sanitizer, each in a build folder of its own: one
# folder would rebuild everything at every change of sanitizer. Arguments go to `swift test`, such as --filter NAME.
# SANITIZERS="thread" runs one of them only. Logs: .build/sanitize-results.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/install-dependencies.sh test || exit 1

# The first report ends the process, so that no test passes over one. An allocation that is too big answers NULL as it does
# without a sanitizer: tests ask for some. Leaks are not looked for: the Swift runtime keeps its metadata for good.
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 allocator_may_return_null=1 ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="halt_on_error=1 detect_leaks=0 allocator_may_return_null=1 ${ASAN_OPTIONS:-}"

results=$PWD/.build/sanitize-results
mkdir -p "$results"
failed=0
lines=()
for sanitizer in ${SANITIZERS:-thread address}; do
    case "$sanitizer" in
    thread) mark="(WARNING|ERROR): ThreadSanitizer: " ;;
    address) mark="(WARNING|ERROR): AddressSanitizer: " ;;
    *)
        echo "sanitize: SANITIZERS holds thread and address, not $sanitizer" >&2
        exit 2
        ;;
    esac
    printf '\n==> %s sanitizer\n' "$sanitizer"
    log=$results/$sanitizer.log
    swift test --scratch-path ".build/sanitize-$sanitizer" --sanitize "$sanitizer" --disable-xctest "$@" </dev/null 2>&1 |
        tee "$log"
    status=${PIPESTATUS[0]}
    # What the runner says at its end: a run that was cut short has no such line, whatever its exit status.
    count=$(grep -oE 'Test run with [0-9]+ tests? in [0-9]+ suites? (passed|failed)' "$log" | tail -n 1)
    reports=$(grep -cE "$mark" "$log")
    if [ "$reports" -gt 0 ]; then
        failed=$((failed + 1))
        lines+=("$sanitizer: $reports report(s); the first is at line $(grep -nE "$mark" "$log" | head -n 1 | cut -d: -f1) of $log")
    elif [ -z "$count" ]; then
        failed=$((failed + 1))
        lines+=("$sanitizer: did not build, or ended without running to its end (exit status $status): $log")
    elif [ "$status" -ne 0 ]; then
        failed=$((failed + 1))
        lines+=("$sanitizer: no report, but tests failed: $log")
    else
        lines+=("$sanitizer: nothing found; ${count,}")
    fi
done
printf '\n==> sanitizers\n'
printf '%s\n' "${lines[@]}"
[ "$failed" -eq 0 ]
