#!/usr/bin/env bash
# Runs every test and ends with one line for all of them: "N passed, N failed, N skipped". Exit 1 when one failed.
#
#   1. the release binary, which the end-to-end tests drive      .build/release
#   2. the Swift tests, in debug, where assertions are checked   .build/debug
#   3. the end-to-end tests, in Python                           Tests/EndToEnd/run.sh
#
# Debug and release live side by side under .build and leave each other alone. Logs and results: .build/test-results.
# A suite that ends without its count (a crash, a build that failed) counts as one failed test.
set -uo pipefail
cd "$(dirname "$0")/.."

results=$PWD/.build/test-results
rm -rf "$results"
mkdir -p "$results"
passed=0 failed=0 skipped=0
summary=()

step() { printf '\n==> %s\n' "$*"; }

add() { # name, passed, failed, skipped
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
    summary+=("$(printf '%-12s %s passed, %s failed, %s skipped' "$1:" "$2" "$3" "$4")")
}

finish() {
    step "results"
    printf '%s\n' "${summary[@]}"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

# The last "N passed, N failed, N skipped" of a log, if the suite's exit status agrees with it.
add_from_log() { # name, exit status, log
    local line
    line=$(grep -oE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$3" | tail -n 1)
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        local failures=${BASH_REMATCH[2]}
        if [ "$2" -ne 0 ] && [ "$failures" -eq 0 ]; then failures=1; fi
        add "$1" "${BASH_REMATCH[1]}" "$failures" "${BASH_REMATCH[3]}"
    else
        echo "test: $1 ended with exit status $2 and without its count" >&2
        add "$1" 0 1 0
    fi
}

step "dependencies"
scripts/install-dependencies.sh test || { add dependencies 0 1 0; finish; }
if [ -x scripts/python-proto.sh ]; then
    scripts/python-proto.sh || { add python-proto 0 1 0; finish; }
fi

step "release build"
swift build -c release --static-swift-stdlib --product prism </dev/null || { add "release build" 0 1 0; finish; }

step "Swift tests"
swift build --build-tests </dev/null || { add "debug build" 0 1 0; finish; }
swift test --skip-build --disable-xctest --xunit-output "$results/swift.xml" </dev/null 2>&1 | tee "$results/swift.log"
status=${PIPESTATUS[0]}
# The count of the xUnit file, not of the log: a test may print what looks like a count.
python3 - "$results/swift.xml" >"$results/swift.count" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

cases = list(tree.parse(sys.argv[1]).iter("testcase"))
failed = sum(case.find("failure") is not None for case in cases)
skipped = sum(case.find("skipped") is not None for case in cases)
print(f"{len(cases) - failed - skipped} passed, {failed} failed, {skipped} skipped")
PYTHON
add_from_log "Swift" "$status" "$results/swift.count"

step "end-to-end tests"
if [ -x Tests/EndToEnd/run.sh ]; then
    PRISM_BINARY=${PRISM_BINARY:-$PWD/.build/release/prism} Tests/EndToEnd/run.sh </dev/null 2>&1 |
        tee "$results/end-to-end.log"
    add_from_log "end to end" "${PIPESTATUS[0]}" "$results/end-to-end.log"
else
    echo "Tests/EndToEnd/run.sh is not there yet"
    add "end to end" 0 0 1
fi

finish
