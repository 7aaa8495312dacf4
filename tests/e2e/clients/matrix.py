"""What agents do with objects beyond storing and fetching them, as boto3 does it.

Usage: matrix.py SCENARIO BUCKET. Prints one JSON object per step.

`objects`: every size and checksum, ranges, copies, multipart uploads that end well or are given up,
`select`. `presign`: URLs for somebody else, and the upload that their parts belong to. `keys`: random
keys, signed by botocore and sent as the very bytes that were signed; the bucket's name is followed by
their number. Prints each path.
"""

import hashlib
import http.client
import io
import json
import os
import random
import ssl
import sys
import threading
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import percent_encode

LARGE = 256 * 1024 * 1024
SIZES = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024]
ALGORITHMS = ["CRC32", "SHA1", "SHA256"]
STREAM = threading.Lock()
PIECES = [
    "a", "b c", "..", ".", "/", "//", "%", "%2F", "%25", "+", "=", ":", "@", "&", "?", "#", ";", ",", "~", "'", "(", ")",
    "*", "!", "$", "[", "]", "{", "}", "|", "\\", "^", "`", "\"", "<", ">", "\u00e9", "e\u0301", "\u65e5\u672c",
    "\U0001f600", "\u202e", "\t", "\n", "\x01", "\x7f", "\u00a0", "\ufeff", "-", "_", "0", "x" * 60,
]


def step(name, work):
    """Runs one step and says how it went."""
    try:
        print(json.dumps({"step": name, "ok": True, "value": work()}), flush=True)
    except (ClientError, BotoCoreError, AssertionError) as error:
        print(json.dumps({"step": name, "ok": False, "message": repr(error)}), flush=True)


def fetched(s3, bucket, key, body, **parameters):
    answer = s3.get_object(Bucket=bucket, Key=key, **parameters)["Body"].read()
    assert hashlib.sha256(answer).digest() == hashlib.sha256(body).digest(), f"{key} came back changed"


def objects(bucket):
    s3 = boto3.client("s3")
    step("create", lambda: s3.create_bucket(Bucket=bucket) and None)
    signed = boto3.client("s3", config=Config(request_checksum_calculation="when_required", s3={"payload_signing_enabled": True}))
    plain = boto3.client("s3", config=Config(request_checksum_calculation="when_required"))

    def stored(key, body, client=s3, **parameters):
        step(key, lambda: client.put_object(Bucket=bucket, Key=key, Body=io.BytesIO(body), **parameters) and fetched(s3, bucket, key, body))

    for size in SIZES:
        body = random.Random(size).randbytes(size)
        for algorithm in ALGORITHMS:
            stored(f"{algorithm}/{size}", body, ChecksumAlgorithm=algorithm)
        stored(f"signed/{size}", body, signed)
        stored(f"unsigned/{size}", body, plain)
    # From the tunnel's end on, both ways are one. Not in one frame: moto reads frames in quadratic time.
    body = b"" if "HTTPS_PROXY" in os.environ else random.Random(LARGE).randbytes(LARGE // 16) * 16
    step("large/parts", lambda: s3.upload_fileobj(io.BytesIO(body), bucket, "large/parts") or fetched(s3, bucket, "large/parts", body))
    stored("large/signed", body, signed)
    stored("large/unsigned", body, plain)
    step("clear", lambda: [s3.delete_object(Bucket=bucket, Key=f"large/{name}") and None for name in ("parts", "signed", "unsigned")])
    body = random.Random(7).randbytes(1024 * 1024)
    key = f"SHA256/{len(body)}"
    body = random.Random(len(body)).randbytes(len(body))
    step("range", lambda: fetched(s3, bucket, key, body[1000:2000], Range="bytes=1000-1999"))
    step("copy", lambda: s3.copy_object(Bucket=bucket, Key="copy ü", CopySource={"Bucket": bucket, "Key": key}) and fetched(s3, bucket, "copy ü", body))
    step("copy of a part", lambda: copied_part(s3, bucket))
    step("multipart", lambda: multipart(s3, bucket))
    step("given up", lambda: given_up(s3, bucket))
    step("select", lambda: select(s3, bucket))


def multipart(s3, bucket):
    body = random.Random(9).randbytes(17 * 1024 * 1024)
    config = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(body), bucket, "multipart", Config=config)
    fetched(s3, bucket, "multipart", body)


def copied_part(s3, bucket):
    body = random.Random(8).randbytes(7 * 1024 * 1024)
    s3.put_object(Bucket=bucket, Key="whole ü", Body=body)
    target = {"Bucket": bucket, "Key": "copied part"}
    target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
    last = 6 * 1024 * 1024 - 1
    part = s3.upload_part_copy(**target, PartNumber=1, CopySource={"Bucket": bucket, "Key": "whole ü"}, CopySourceRange=f"bytes=0-{last}")
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    fetched(s3, bucket, "copied part", body[: last + 1])


def given_up(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="given up")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="given up", UploadId=upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(Bucket=bucket, Key="given up", UploadId=upload)
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def select(s3, bucket):
    s3.put_object(Bucket=bucket, Key="table", Body=b'{"a": 1}\n{"a": 2}\n')
    answer = s3.select_object_content(
        Bucket=bucket, Key="table", Expression="SELECT count(*) FROM s3object s", ExpressionType="SQL",
        InputSerialization={"JSON": {"Type": "LINES"}}, OutputSerialization={"JSON": {}},
    )
    return b"".join(event["Records"]["Payload"] for event in answer["Payload"] if "Records" in event).decode()


def presign(bucket):
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    parts = {"Bucket": bucket, "Key": "in parts"}
    upload = s3.create_multipart_upload(**parts)["UploadId"]

    def url(name, operation, **parameters):
        parameters = {"Bucket": bucket, "Key": "a b/é+%.bin", **parameters}
        step(name, lambda: s3.generate_presigned_url(operation, Params=parameters, ExpiresIn=300))

    url("put", "put_object")
    url("get", "get_object")
    for number in (1, 2):
        url(f"part {number}", "upload_part", **parts, UploadId=upload, PartNumber=number)
    url("get parts", "get_object", **parts)
    step("upload", lambda: upload)


def keys(bucket):
    bucket, count = bucket.split(":")
    credentials = boto3.Session().get_credentials().get_frozen_credentials()
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "https://s3.us-east-1.amazonaws.com")
    chosen = random.Random(1)
    paths = []
    for index in range(int(count)):
        key = "".join(chosen.choice(PIECES) for _ in range(chosen.randint(1, 8))) + str(index)
        paths.append(f"/{bucket}/" + percent_encode(key, safe="/~"))
    workers = [threading.Thread(target=get_all, args=(endpoint, credentials, paths[start::8])) for start in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def get_all(endpoint, credentials, paths):
    parts = urlsplit(endpoint)
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=trust)
    if "HTTPS_PROXY" in os.environ:
        proxy = urlsplit(os.environ["HTTPS_PROXY"])
        connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, context=trust)
        connection.set_tunnel(parts.hostname, 443)
    for path in paths:
        request = AWSRequest("GET", endpoint + path)
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        connection.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode()
        with STREAM:
            print(json.dumps({"path": path, "ok": answer.status == 200, "text": text[:300]}), flush=True)


if __name__ == "__main__":
    {"objects": objects, "presign": presign, "keys": keys}[sys.argv[1]](sys.argv[2])
