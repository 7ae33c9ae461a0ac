#!/usr/bin/env bash
# The local store's identity in a real keyring: GNOME's, on a session bus of its own.
#
# Usage: tests/peers/keyring.sh [path of dsops]. Needs `dsops local init|set|get`, where `init`
# puts the new identity into the keyring for a store with `identity: keyring`.
set -euo pipefail

dsops=$(realpath "${1:-target/debug/dsops}")
for program in dbus-run-session gnome-keyring-daemon secret-tool; do
    if ! command -v "$program" >/dev/null; then
        echo "keyring: not run (not installed)"
        exit 0
    fi
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset DSOPS_LOCAL_IDENTITY XDG_CONFIG_HOME XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS
mkdir -m 700 run
export HOME=$dir XDG_RUNTIME_DIR=$dir/run dsops

cat >dsops.yaml <<'YAML'
version: 1
secretStores:
  local: {type: local, identity: keyring}
envs: {}
YAML

# Without a bus there is nobody to ask, and that must be said at once.
if "$dsops" local init 2>message; then
    echo "keyring: an identity was kept without a keyring" >&2
    exit 1
fi
[ ! -e secrets.age ]

dbus-run-session -- bash -euo pipefail -c '
    fail() {
        echo "keyring: $1" >&2
        exit 1
    }
    eval "$(printf "login" | gnome-keyring-daemon --unlock --components=secrets)"

    "$dsops" local init
    [ ! -e "$HOME/.config/dsops/identity.txt" ] || fail "the identity is in a file too"
    printf "value" | "$dsops" local set KEY
    [ "$("$dsops" local get KEY)" = value ] || fail "the value does not come back"

    # Another program finds the item, and what it holds opens the file.
    text=$(secret-tool lookup service dsops username local-identity)
    case $text in
        *AGE-SECRET-KEY-1*) ;;
        *) fail "the keyring does not hold the identity" ;;
    esac
    if command -v age >/dev/null; then
        printf "%s" "$text" | age -d -i - secrets.age | grep -qF "\"value\": \"value\"" ||
            fail "age does not open the store with the identity from the keyring"
    fi

    # Without `identity`, the keyring is the last place that is looked at.
    sed -i "s/, identity: keyring//" dsops.yaml
    [ "$("$dsops" local get KEY)" = value ] || fail "the keyring is not asked where nothing else is there"

    secret-tool clear service dsops username local-identity
    if "$dsops" local get KEY >leak 2>message; then
        fail "the store opened without its identity"
    fi
    [ ! -s leak ] || fail "a refusal wrote to standard output"
'
echo "keyring: ok"
