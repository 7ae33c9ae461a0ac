#!/bin/sh
# `keys` is asked first, and its answer opens `company`. The token itself never reaches the child.
set -eu
dsops exec --env dev -- sh -c 'echo "API_KEY=$API_KEY COMPANY_TOKEN=${COMPANY_TOKEN-not passed on}"'
