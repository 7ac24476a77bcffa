#!/bin/sh
# 报送一份,curl。 One report, with curl: sh report.sh report.json
# 429、503 时按 Retry-After 原样重发,不会重复计数。 429 and 503 are sent again after Retry-After; the same counts once.
exec curl --silent --show-error --fail-with-body --retry 20 \
  "${SKILLPLAN_URL:-http://127.0.0.1:8080}/v1/events" \
  --header 'content-type: application/cloudevents+json' \
  ${SKILLPLAN_KEY:+--header "authorization: Bearer $SKILLPLAN_KEY"} \
  --data-binary "@$1"
