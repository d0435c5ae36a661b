#!/usr/bin/env bash
# Calls every operation of a running gateway's OpenAPI document with good and bad input.
#   schemathesis.sh URL [more arguments for schemathesis]
# Fails on a 5xx whose origin is the gateway, a status, header, content type or body that the document does not name,
# a problem that lacks a member, and bad input that is accepted. Best run against `ncgate demo`, whose devices it asks.
set -euo pipefail
url=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
checks=every_error_is_a_problem,no_fault_of_the_gateway,status_code_conformance,content_type_conformance
checks+=,response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance
checks+=,negative_data_rejection

# A device that may be changed and removed: nobody listens there. It may be left from a run before.
curl -sS -o /dev/null "$url/v1/devices" -H 'Content-Type: application/json' \
  -d '{"name": "spare", "address": "127.0.0.1", "port": 1, "username": "nobody", "auth": {"password": "none"}}'

export PYTHONPATH=$here SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONDONTWRITEBYTECODE=1
scratch=$(mktemp -d) # it keeps notes of its runs in the working directory
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
schemathesis run "$url/openapi.json" --url "$url" --checks "$checks" --phases examples,coverage,fuzzing,stateful \
  --max-examples "${NCGATE_TEST_SCHEMATHESIS_EXAMPLES:-25}" --seed "${NCGATE_TEST_SCHEMATHESIS_SEED:-1}" \
  --generation-database none --no-shrink --suppress-health-check all --request-timeout 60 --continue-on-failure \
  --no-color "$@"
