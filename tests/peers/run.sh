#!/usr/bin/env bash
# Runs every other script of this directory against the programs that others wrote, and prints a table.
#
#   DSOPS=target/release/dsops tests/peers/run.sh
#
# A script gets the absolute path of dsops as its argument, and an empty directory as working directory and HOME.
# It ends with 0 where nothing failed, and writes a line with `not run` for what it could not do and why. Packages are installed where that is allowed: as root, with apt-get.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DSOPS=$(realpath "${DSOPS:?name the binary: DSOPS=target/release/dsops}")
export DSOPS

# The packages that the scripts use, as `program:package`.
packages=(age:age gnome-keyring-daemon:gnome-keyring dbus-run-session:dbus-daemon secret-tool:libsecret-tools
    mksh:mksh yash:yash zsh:zsh fish:fish jq:jq)
missing=()
for pair in "${packages[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if ((${#missing[@]} > 0)) && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    for package in "${missing[@]}"; do
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 ||
            { apt-get update >/dev/null 2>&1 &&
                DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1; } ||
            echo "$package cannot be installed"
    done
fi

table=() failed=0
for script in "$here"/*; do
    name=$(basename "$script")
    [[ $name == run.sh || ! -f $script || ! -x $script ]] && continue
    place=$(mktemp -d)
    code=0
    (cd "$place" && HOME=$place exec timeout "${LIMIT:-600}" "$script" "$DSOPS") >"$place/.log" 2>&1 </dev/null || code=$?
    if ((code != 0)); then
        table+=("failed|$name|ended with $code")
        failed=1
        cat "$place/.log"
    elif [[ $(wc -l <"$place/.log") -eq 1 ]] && grep -q 'not run' "$place/.log"; then
        table+=("not run|$name|$(cat "$place/.log")")
    else
        table+=("run|$name|")
        while read -r line; do table+=("not run|$name|$line"); done < <(grep 'not run' "$place/.log" || true)
    fi
    # A shell of a script may still be writing its completions in the background.
    rm -rf "$place" 2>/dev/null || { sleep 2; rm -rf "$place" || true; }
done

for row in "${table[@]+"${table[@]}"}"; do
    IFS='|' read -r state name why <<<"$row"
    printf '%-8s %-12s %s\n' "$state" "$name" "$why"
done
exit "$failed"
