#!/bin/sh
# A store that answers only to whoever has its token.
set -eu
read -r _
if [ "${COMPANY_TOKEN:-}" = opens-the-company-store ]; then
    printf '{"protocolVersion":1,"values":{"api-key":"k-123"}}\n'
else
    printf '{"protocolVersion":1,"errors":{"api-key":{"code":"UNAUTHENTICATED","message":"no token"}}}\n'
fi
