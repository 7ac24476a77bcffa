# 报送一份,Python 与 httpx。 One report, in Python with httpx: python report_httpx.py report.json
import os
import sys
import time
from pathlib import Path

import httpx

headers = {"content-type": "application/cloudevents+json"}
if key := os.environ.get("SKILLPLAN_KEY"):
    headers["authorization"] = f"Bearer {key}"
address = os.environ.get("SKILLPLAN_URL", "http://127.0.0.1:8080")
report = Path(sys.argv[1]).read_bytes()
while True:
    response = httpx.post(f"{address}/v1/events", content=report, headers=headers, timeout=40)
    if response.status_code not in (429, 503):
        break
    time.sleep(int(response.headers.get("retry-after", "2")))  # 原样重发不会重复计数 the same again counts once
print(response.text)
sys.exit(0 if response.is_success else 1)
