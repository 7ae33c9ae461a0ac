#!/usr/bin/env bash
# Stock `age` and the local store open each other's files.
#
# Usage: tests/peers/age.sh [path of dsops]. Needs `dsops local init|set|get`.
set -euo pipefail

dsops=$(realpath "${1:-target/debug/dsops}")
for program in age age-keygen; do
    if ! command -v "$program" >/dev/null; then
        echo "age: not run (not installed)"
        exit 0
    fi
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset DSOPS_LOCAL_IDENTITY XDG_CONFIG_HOME DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR
export HOME=$dir
umask 022

fail() {
    echo "age: $1" >&2
    exit 1
}

# The bytes of a value, and not what `$(…)` makes of them.
expect() {
    cmp <("$dsops" local get "$1") <(printf "$2") || fail "$1 is not what was set: $3"
}

cat >dsops.yaml <<'YAML'
version: 1
secretStores:
  local: {type: local}
envs: {}
YAML
identity=$HOME/.config/dsops/identity.txt

# What dsops writes, age opens.
"$dsops" local init
printf 'first' | "$dsops" local set db/PASSWORD
printf 'two\n\tlines "quoted" \\ \xc3\xbc\n' | "$dsops" local set db/PASSWORD
printf '\xff\x00binary' | "$dsops" local set blob
age -d -i "$identity" secrets.age >plain.json || fail "age does not open the store"
grep -qF '"value": "first"' plain.json || fail "the first version is not in the document"
grep -qF '"value": "two\n\tlines \"quoted\" \\ ü\n"' plain.json || fail "the second version is not in the document"
grep -qF '"base64": "/wBiaW5hcnk="' plain.json || fail "the binary value is not in the document"
[ "$(age-keygen -y "$identity")" = "$(sed -n 's/.*"key": "\(age1[^"]*\)".*/\1/p' plain.json)" ] ||
    fail "the document names another recipient"

# What age writes, dsops opens: with armor and without.
for armor in --armor ''; do
    # shellcheck disable=SC2086 # an empty option is none
    age $armor -r "$(age-keygen -y "$identity")" -o secrets.age.new plain.json
    mv secrets.age.new secrets.age
    expect db/PASSWORD 'two\n\tlines "quoted" \\ \xc3\xbc\n' "after age${armor:+ $armor}"
    expect db/PASSWORD@v1 'first' "after age${armor:+ $armor}"
    expect blob '\xff\x00binary' "after age${armor:+ $armor}"
done

# An identity of age-keygen's, by path and as text.
age-keygen -o other.txt 2>/dev/null
chmod 600 other.txt
age -r "$(age-keygen -y other.txt)" -r "$(age-keygen -y "$identity")" -o secrets.age plain.json
expect db/PASSWORD@v1 'first' "with two recipients"
DSOPS_LOCAL_IDENTITY=other.txt expect db/PASSWORD@v1 'first' "with an identity of age-keygen's"
DSOPS_LOCAL_IDENTITY=$(cat other.txt) expect db/PASSWORD@v1 'first' "with an identity in the environment"
age -r "$(age-keygen -y other.txt)" -o secrets.age plain.json
if "$dsops" local get db/PASSWORD >leak 2>message; then
    fail "a file for somebody else was opened"
fi
[ ! -s leak ] || fail "a refusal wrote to standard output"

# A passphrase, which age reads from a terminal only.
if command -v script >/dev/null; then
    sed -i '/"recipients": \[/,/^  \],$/d' plain.json
    cat >dsops.yaml <<'YAML'
version: 1
secretStores:
  local: {type: local, passphrase: "${STORE_PASSPHRASE}"}
envs: {}
YAML
    export STORE_PASSPHRASE='correct horse'
    rm secrets.age
    printf 'correct horse\ncorrect horse\n' |
        script -qec 'age -p -a -o secrets.age plain.json' /dev/null >/dev/null
    expect db/PASSWORD@v1 'first' "with a passphrase of age's"
    printf 'third' | "$dsops" local set db/PASSWORD
    printf 'correct horse\n' |
        script -qec 'age -d -o again.json secrets.age' /dev/null >/dev/null
    grep -qF '"value": "third"' again.json || fail "age does not open what dsops encrypts with a passphrase"
    if STORE_PASSPHRASE=wrong "$dsops" local get db/PASSWORD >leak 2>message; then
        fail "a wrong passphrase opened the store"
    fi
else
    echo "age: passphrases not run (no script(1))"
fi

echo "age: ok ($(age --version))"
