#!/bin/sh
# A file that only its owner can read, and that appears whole or not at all.
set -eu
dsops render --env dev --template app.json.j2 --out app.json
ls -l app.json | cut -c 1-10
cat app.json
