#!/bin/sh
# One start of the program answers for every variable.
set -eu
dsops exec --env dev -- sh -c 'echo "TOKEN=$TOKEN REGION=$REGION"'
