# 报送一份,Python 与 CloudEvents SDK(二进制模式)。 One report, with the CloudEvents SDK, in binary mode.
import json
import os
import sys
from datetime import datetime
from pathlib import Path

import httpx
from cloudevents.core.bindings.http import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
data = report.pop("data")
report["time"] = datetime.fromisoformat(report["time"])
message = to_binary(CloudEvent(report, data), JSONFormat())
headers = {**message.headers, "content-type": "application/json"}
if key := os.environ.get("SKILLPLAN_KEY"):
    headers["authorization"] = f"Bearer {key}"
address = os.environ.get("SKILLPLAN_URL", "http://127.0.0.1:8080")
response = httpx.post(f"{address}/v1/events", content=message.body, headers=headers, timeout=40)
print(response.text)
sys.exit(0 if response.is_success else 1)
