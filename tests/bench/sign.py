"""Signs the benchmark's calls with botocore, right before they are sent.

Reads one JSON object: host, access_key_id, secret, token, directory. Writes `small.requests` (whole
requests for wrk), `put.headers`, `get.headers` and `object` (for curl) into the directory.
"""

import base64
import json
import pathlib
import sys
import zlib

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BODY = b'{"TableName":"tabl"}'
SIZE = 64 * 1024 * 1024
CHUNK = 1024 * 1024


def small(order, credentials):
    request = AWSRequest("POST", f"https://{order['host']}/", data=BODY)
    request.headers["Host"] = order["host"]
    request.headers["Content-Type"] = "application/x-amz-json-1.0"
    request.headers["X-Amz-Target"] = "DynamoDB_20120810.DescribeTable"
    SigV4Auth(credentials, "dynamodb", "us-east-1").add_auth(request)
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", BODY.decode()])


class Streamed(S3SigV4Auth):
    """Signs an upload as boto3 does over TLS: its checksum follows the body."""

    def payload(self, request):
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def object_headers(order, credentials, method):
    request = AWSRequest(method, f"https://{order['host']}/bench-bucket/object")
    request.headers["Host"] = order["host"]
    if method == "PUT":
        request.headers["Content-Encoding"] = "aws-chunked"
        request.headers["X-Amz-Decoded-Content-Length"] = str(SIZE)
        request.headers["X-Amz-Trailer"] = "x-amz-checksum-crc32"
        Streamed(credentials, "s3", "us-east-1").add_auth(request)
    else:
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    return "\n".join(f"{name}: {value}" for name, value in request.headers.items()) + "\n"


def write_object(path):
    """An object in chunks of 1 MiB, as botocore frames it."""
    chunk = b"x" * CHUNK
    checksum = 0
    with path.open("wb") as file:
        for _ in range(SIZE // CHUNK):
            checksum = zlib.crc32(chunk, checksum)
            file.write(b"%x\r\n%s\r\n" % (CHUNK, chunk))
        encoded = base64.b64encode(checksum.to_bytes(4, "big"))
        file.write(b"0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % encoded)


order = json.load(sys.stdin)
credentials = Credentials(order["access_key_id"], order["secret"], order["token"])
directory = pathlib.Path(order["directory"])
directory.joinpath("small.requests").write_bytes((small(order, credentials) + "\n---\n").encode())
directory.joinpath("put.headers").write_text(object_headers(order, credentials, "PUT"))
directory.joinpath("get.headers").write_text(object_headers(order, credentials, "GET"))
if not directory.joinpath("object").exists():
    write_object(directory / "object")
