"""Prints random requests signed by botocore, one JSON object a line, for a verifier to read.

Usage: sign_requests.py COUNT SEED

Everything is signed as botocore signs it over https, at a time that is part of the output, and
written down as its HTTP client would send it. Nothing is sent anywhere.
"""

import base64
import datetime
import io
import json
import random
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.compat import quote, urlsplit
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha256Checksum
from botocore.utils import percent_encode_sequence

HOSTS = ["gw.example:8443", "localhost:9443", "127.0.0.1:8443", "s3.us-east-1.amazonaws.com"]
REST_SERVICES = ["lambda", "execute-api", "iot", "apigateway"]
KEY_PIECES = [
    "a", "b c", "..", ".", "", "ü", "日本", "+", "~", "%2F", "&=?", "*'()!", "@:,;$", "[]{}|^`",
    "<>\\\"#", "x" * 40, "\u00a0", "e\u0301", "\n", "-_.",
]
VALUE_PIECES = ["a", "b", " ", "  ", "   c", "\"q  q\"", ",", ";", "=", "%20", "+", "/", "#"]


def freeze(rng):
    """Gives botocore a fixed clock and returns what it will show."""
    start = datetime.datetime(2015, 1, 1, tzinfo=datetime.timezone.utc)
    moment = start + datetime.timedelta(seconds=rng.randrange(20 * 365 * 86400))
    botocore.auth.get_current_datetime = lambda *_, **__: moment
    return moment


def text(rng, pieces, most):
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, most)))


def header_value(rng):
    return ("v" + text(rng, VALUE_PIECES, 8)).strip()


def parameters(rng):
    names = ["prefix", "list-type", "versionId", "Qualifier", "delete", "k ü", "a/b", "A", "a"]
    chosen = {name: text(rng, KEY_PIECES, 3) for name in rng.sample(names, rng.randint(0, 4))}
    return "?" + percent_encode_sequence(chosen) if chosen else ""


def common_headers(rng):
    headers = {}
    for name in rng.sample(["X-Amz-Meta-One", "x-amz-acl", "Content-Type", "Range"], rng.randint(0, 3)):
        headers[name] = header_value(rng)
    return headers


def json_call(rng, host):
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.GetItem",
        "Content-Type": "application/x-amz-json-1.0",
    }
    body = json.dumps({"Key": text(rng, KEY_PIECES, 5)}).encode()
    return "dynamodb", AWSRequest("POST", f"https://{host}/", headers, data=body)


def query_call(rng, host):
    body = "Action=GetCallerIdentity&Version=2011-06-15&X=" + quote(text(rng, KEY_PIECES, 4))
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    return "sts", AWSRequest("POST", f"https://{host}/", headers, data=body.encode())


def rest_call(rng, host):
    labels = [quote(text(rng, KEY_PIECES, 3) + "x", safe="-._~") for _ in range(rng.randint(1, 4))]
    method = rng.choice(["GET", "PUT", "POST", "DELETE", "PATCH"])
    body = rng.randbytes(rng.randint(0, 60)) if method in ("PUT", "POST", "PATCH") else b""
    url = f"https://{host}/2015-03-31/" + "/".join(labels) + rng.choice(["", "/"]) + parameters(rng)
    request = AWSRequest(method, url, common_headers(rng), data=body)
    return rng.choice(REST_SERVICES), request


def s3_call(rng, host):
    key = "/".join(text(rng, KEY_PIECES, 2) for _ in range(rng.randint(1, 5)))
    url = f"https://{host}/bucket/" + quote(key, safe="/~") + parameters(rng)
    method = rng.choice(["GET", "PUT", "HEAD", "DELETE", "POST"])
    data = rng.randbytes(rng.randint(0, 200)) if method in ("PUT", "POST") else b""
    request = AWSRequest(method, url, common_headers(rng), data=data)
    if method == "PUT":
        rng.choice([s3_digest, s3_unsigned, s3_trailer])(rng, request, data)
    return "s3", request


def s3_digest(_rng, _request, _data):
    """As an upload without a checksum."""


def s3_unsigned(_rng, request, _data):
    request.headers["Content-MD5"] = "1B2M2Y8AsgTpgAmY7PhCfg=="
    request.context["has_streaming_input"] = True


def s3_trailer(rng, request, data):
    name, checksum = rng.choice([("crc32", Crc32Checksum), ("sha256", Sha256Checksum)])
    trailer = f"x-amz-checksum-{name}"
    chunk_size = rng.choice([1, 7, 64, 1024 * 1024])
    request.data = AwsChunkedWrapper(io.BytesIO(data), checksum, trailer, chunk_size).read()
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    request.headers["Transfer-Encoding"] = "chunked"
    request.headers["Content-Encoding"] = rng.choice(["aws-chunked", "gzip,aws-chunked"])
    request.headers["X-Amz-Trailer"] = trailer
    request.headers["X-Amz-Decoded-Content-Length"] = str(len(data))


def line(rng):
    moment = freeze(rng)
    host = rng.choice(HOSTS)
    service, request = rng.choice([json_call, query_call, rest_call, s3_call, s3_call])(rng, host)
    region = rng.choice(["us-east-1", "eu-central-2", "us-gov-west-1", "aws-global"])
    secret = text(rng, ["ab", "/", "+", "9Z"], 20) + "secret"
    token = rng.choice([None, "token/+=" * rng.randint(1, 100)])
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials("PCAKEXAMPLE00000", secret, token), service, region).add_auth(request)
    sent = request.prepare()
    parts = urlsplit(sent.url)
    headers = [(name, value) for name, value in sent.headers.items()]
    headers = [(n, v.decode("latin-1") if isinstance(v, bytes) else str(v)) for n, v in headers]
    headers += [("Host", host), ("User-Agent", "Boto3"), ("amz-sdk-request", "attempt=1")]
    body = sent.body or b""
    return {
        "now": int(moment.timestamp()),
        "secret": secret,
        "method": sent.method,
        "path": parts.path,
        "query": parts.query if parts.query else None,
        "authority": host,
        "headers": headers,
        "body": base64.b64encode(body.encode() if isinstance(body, str) else body).decode(),
    }


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    for index in range(count):
        print(json.dumps(line(random.Random(seed * 1_000_003 + index))))


if __name__ == "__main__":
    main()
