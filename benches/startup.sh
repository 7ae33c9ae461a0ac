#!/usr/bin/env bash
# Measures what `dsops exec` adds to a command: instructions up to its execve, and wall-clock time.
#
#   benches/startup.sh target/release/dsops            compare with benches/instructions.txt
#   UPDATE=1 benches/startup.sh target/release/dsops   write benches/instructions.txt
#   benches/startup.sh PROGRAM ARGUMENT…               measure any other program that becomes a command
#
# Exits with 1 where the instructions are more than 5 % over the committed figure, with 2 where
# nothing could be measured. Needs valgrind and python3. PAIRS (200) sets how often the time is taken.
set -euo pipefail

if (($# == 0)); then
    echo "usage: benches/startup.sh BINARY [ARGUMENT…]" >&2
    exit 2
fi
for tool in valgrind python3; do
    command -v "$tool" >/dev/null || { echo "benches/startup.sh needs $tool" >&2; exit 2; }
done

readonly PAIRS=${PAIRS:-200}
# Another processor, C library or linker moves the count by a little without any change here.
readonly TOLERANCE=5 # percent
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly COMMITTED=$here/instructions.txt
binary=$(realpath "$1")
shift
if (($# == 0)); then
    set -- exec --env bench -- /usr/bin/env true
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/home"
{
    echo 'version: 1'
    echo 'envs:'
    echo '  bench:'
    for i in {0..9}; do
        echo "    V$i: {literal: \"value of variable $i\"}"
    done
} >"$place/dsops.yaml"
cd "$place"

# The environment is always the same: its size is part of the work.
run() { env -i PATH=/usr/bin:/bin HOME="$place/home" LANG=C.UTF-8 "$@"; }
# The C library picks its routines by the processor; counted are those that every processor has.
readonly TUNABLES=GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM

run "$binary" "$@" || { echo "the command to measure fails" >&2; exit 2; }

# Callgrind writes nothing when a process is replaced, so it writes a part whenever execve is
# entered. A search along PATH enters it more than once; all parts up to the last one count.
count() {
    rm -f "$place"/callgrind.*
    run env "$TUNABLES" valgrind --quiet --tool=callgrind --dump-before=execve \
        --callgrind-out-file="$place/callgrind" "$binary" "$@" >/dev/null
    # Without a part there is nothing to add up: `callgrind` alone is what the program ended with.
    find "$place" -name 'callgrind.*' -exec awk '$1 == "summary:" { sum += $2 } END { print sum + 0 }' {} +
}

# Hash seeds are random and make the count differ by some hundred: the smallest of three is steady.
instructions=$(for _ in 1 2 3; do count "$@"; done | sort -n | sed -n 1p)
if ((${instructions:-0} == 0)); then
    echo "the program never entered execve: it did not become its command" >&2
    exit 2
fi
echo "instructions up to execve: $instructions"

run python3 - "$PAIRS" "$binary" "$@" <<'PYTHON'
import os, statistics, sys, time

pairs, subject = int(sys.argv[1]), sys.argv[2:]


def milliseconds(argv):
    start = time.perf_counter()
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, os.environ), 0)
    elapsed = time.perf_counter() - start
    assert status == 0, argv
    return elapsed * 1000


# In turn, so that whatever else the machine does falls on both.
with_it, without = [], []
for _ in range(pairs):
    with_it.append(milliseconds(subject))
    without.append(milliseconds(["/usr/bin/env", "true"]))
added = statistics.median(a - b for a, b in zip(with_it, without))
print(f"wall clock: {statistics.median(with_it):.2f} ms, "
      f"`env true` alone {statistics.median(without):.2f} ms, added {added:.2f} ms (medians of {pairs})")
PYTHON

if [[ ${UPDATE:-} == 1 ]]; then
    echo "$instructions" >"$COMMITTED"
    echo "written to benches/instructions.txt"
    exit
fi
if [[ ! -f $COMMITTED ]]; then
    echo "benches/instructions.txt is missing: write it with UPDATE=1" >&2
    exit 2
fi
read -r committed <"$COMMITTED"
if ((instructions * 100 > committed * (100 + TOLERANCE))); then
    echo "over the committed $committed by more than $TOLERANCE %: find out why, or accept it with UPDATE=1" >&2
    exit 1
fi
if ((instructions * 100 < committed * (100 - TOLERANCE))); then
    echo "under the committed $committed by more than $TOLERANCE %: keep it with UPDATE=1"
fi
