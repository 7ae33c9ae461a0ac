#!/bin/sh
# Every key of the file, and a part of one of them.
set -eu
dsops exec --env dev -- sh -c 'printf "NAME=<%s> EMPTY=<%s> PASSWORD=<%s>\n" "$NAME" "$EMPTY" "$PASSWORD"'
