#!/bin/sh
# A store: reads one line of JSON with the ids that are wanted, answers each of them once.
# A real one would parse the line with a JSON library; this one knows its single secret.
set -eu
read -r request
values='' errors=''
case $request in *'"team/token"'*) values='"team/token":"t0ken-of-the-team"' ;; esac
case $request in *'"region"'*) errors='"region":{"code":"NOT_FOUND","message":"no region is set"}' ;; esac
printf '{"protocolVersion":1,"values":{%s},"errors":{%s}}\n' "$values" "$errors"
