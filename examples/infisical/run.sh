#!/bin/sh
# What production would ask Infisical for. Asks nobody; `dsops exec` instead of `plan` would.
set -eu
dsops plan --env production
