#!/bin/sh
# The variables that a CI system sets, checked and renamed. `--clean` keeps the rest of the environment out.
set -eu
CI_SECRET_DATABASE_URL=postgres://ci@localhost/test dsops exec --env test --clean -- \
    sh -c 'echo "DATABASE_URL=$DATABASE_URL SENTRY_DSN=${SENTRY_DSN-not set} CI=${CI_SECRET_DATABASE_URL-not passed on}"'
