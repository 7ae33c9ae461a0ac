#!/bin/sh
# The main job, from nothing: an encrypted store, a secret in it, and a command that gets it.
# Builds dsops unless DSOPS names one. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${DSOPS:-}" ]; then
    (cd "$here/../.." && cargo build --release --quiet)
    DSOPS=${CARGO_TARGET_DIR:-$here/../../target}/release/dsops
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp "$here/dsops.yaml" "$place"
cd "$place"

# An identity of this run's own, so that yours is neither used nor needed.
XDG_CONFIG_HOME=$place/config
export XDG_CONFIG_HOME
unset DSOPS_LOCAL_IDENTITY DSOPS_CONFIG DSOPS_ENV

"$DSOPS" --quiet local init >/dev/null
printf 'hello from an encrypted file' | "$DSOPS" --quiet local set demo/GREETING >/dev/null
"$DSOPS" exec --env dev -- sh -c 'echo "the child has GREETING: $GREETING"'
