#!/bin/sh
# `dev` starts from `base` and changes one of its variables.
set -eu
dsops exec --env dev -- sh -c 'echo "$LOG_LEVEL $BUILD $DB_HOST $DB_PORT"'
