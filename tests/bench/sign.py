"""Signs the benchmark's calls with botocore, right before they are sent.

Reads one JSON object: host, access_key_id, secret, token, directory. Writes `small.requests` (whole
requests for wrk) and `put.headers` and `get.headers` (for curl) into the directory.
"""

import json
import pathlib
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BODY = b'{"TableName":"tabl"}'


def small(order, credentials):
    request = AWSRequest("POST", f"https://{order['host']}/", data=BODY)
    request.headers["Host"] = order["host"]
    request.headers["Content-Type"] = "application/x-amz-json-1.0"
    request.headers["X-Amz-Target"] = "DynamoDB_20120810.DescribeTable"
    SigV4Auth(credentials, "dynamodb", "us-east-1").add_auth(request)
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", BODY.decode()])


def object_headers(order, credentials, method):
    request = AWSRequest(method, f"https://{order['host']}/bench-bucket/object")
    request.headers["Host"] = order["host"]
    if method == "PUT":
        request.context["client_config"] = None
        request.context["payload_signing_enabled"] = False
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    return "\n".join(f"{name}: {value}" for name, value in request.headers.items()) + "\n"


order = json.load(sys.stdin)
credentials = Credentials(order["access_key_id"], order["secret"], order["token"])
directory = pathlib.Path(order["directory"])
directory.joinpath("small.requests").write_bytes((small(order, credentials) + "\n---\n").encode())
directory.joinpath("put.headers").write_text(object_headers(order, credentials, "PUT"))
directory.joinpath("get.headers").write_text(object_headers(order, credentials, "GET"))
