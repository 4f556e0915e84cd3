"""Makes the form of an upload as another implementation does: reads a JSON object from
standard input, writes the fields as JSON to standard output. Standard library only."""

import base64
import datetime
import hashlib
import hmac
import json
import sys

want = json.load(sys.stdin)
at = datetime.datetime.strptime(want["at"], "%Y-%m-%dT%H:%M:%SZ")
day = at.strftime("%Y%m%d")
stamp = at.strftime("%Y%m%dT%H%M%SZ")
name = "/".join([want["access_key"], day, want["region"], "s3", "aws4_request"])
document = {
    "expiration": (at + datetime.timedelta(seconds=15)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "conditions": [
        {"acl": "private"},
        {"Content-Type": want["content_type"]},
        {"success_action_status": "201"},
        ["content-length-range", 1, 5242880],
        {"bucket": want["bucket"]},
        {"key": want["key"]},
        {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
        {"x-amz-credential": name},
        {"x-amz-date": stamp},
    ],
}
policy = base64.b64encode(json.dumps(document).encode()).decode()
key = ("AWS4" + want["secret"]).encode()
for part in (day, want["region"], "s3", "aws4_request"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
json.dump(
    {
        "acl": "private",
        "Content-Type": want["content_type"],
        "success_action_status": "201",
        "key": want["key"],
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": name,
        "x-amz-date": stamp,
        "policy": policy,
        "x-amz-signature": hmac.new(key, policy.encode(), hashlib.sha256).hexdigest(),
    },
    sys.stdout,
)
