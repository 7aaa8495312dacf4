"""boto3 with awscrt on an S3 multi-region access point, by way of the proxy.

Usage: multi_region.py SCENARIO ARN. Prints one JSON object per step.
"""

import base64
import hashlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEYS = ["a b/ü+~%2F&=?.txt", "..//x", "é/日本"]


def step(name, client, operation, value=lambda answer: None, **parameters):
    attempts = []
    client.meta.events.register("before-send", lambda **_: attempts.append(1), unique_id="count")
    try:
        answer = getattr(client, operation)(**parameters)
        line = dict(ok=True, value=value(answer))
    except ClientError as error:
        shape = error.response["Error"]
        line = dict(ok=False, code=shape.get("Code"), message=shape.get("Message"), type=type(error).__name__)
    client.meta.events.unregister("before-send", unique_id="count")
    print(json.dumps(dict(step=name, attempts=len(attempts), **line)), flush=True)


def read(answer):
    return hashlib.sha256(answer["Body"].read()).hexdigest()


def objects(bucket):
    trailer = boto3.client("s3")
    unsigned = boto3.client("s3", config=Config(request_checksum_calculation="when_required"))
    signed = boto3.client("s3", config=Config(request_checksum_calculation="when_required", s3={"payload_signing_enabled": True}))
    body = os.urandom(300_000)
    digest = hashlib.sha256(body).hexdigest()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    for name, client in [("trailer", trailer), ("unsigned", unsigned), ("digest", signed)]:
        for key in KEYS:
            key = f"{name}/{key}"
            # What lets botocore leave the body out of the signature.
            proof = dict(ContentMD5=md5) if name == "unsigned" else {}
            step(f"{name}.put", client, "put_object", Bucket=bucket, Key=key, Body=body, **proof)
            step(f"{name}.get", client, "get_object", lambda answer: read(answer) == digest, Bucket=bucket, Key=key)
    keys = lambda answer: [row["Key"] for row in answer["Contents"]]
    step("list", trailer, "list_objects_v2", keys, Bucket=bucket, Prefix="digest/")
    step("head", trailer, "head_object", lambda answer: answer["ContentLength"], Bucket=bucket, Key="digest/" + KEYS[0])
    step("delete", trailer, "delete_object", Bucket=bucket, Key="digest/" + KEYS[0])


def presigned(bucket):
    client = boto3.client("s3")
    body = os.urandom(1000)
    key = "presigned/" + KEYS[0]
    step("put", client, "put_object", Bucket=bucket, Key=key, Body=body)
    url = client.generate_presigned_url("get_object", Params=dict(Bucket=bucket, Key=key), ExpiresIn=60)
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    handlers = [urllib.request.ProxyHandler({"https": os.environ["HTTPS_PROXY"]}), urllib.request.HTTPSHandler(context=trust)]
    opener = urllib.request.build_opener(*handlers)
    for name, sent in [("url", url), ("bent", url.replace("Region-Set=%2A", "Region-Set=us-east-1"))]:
        try:
            ok, text = opener.open(sent).read() == body, ""
        except urllib.error.HTTPError as error:
            ok, text = False, error.read().decode()
        print(json.dumps(dict(step=name, asymmetric="ECDSA" in sent, ok=ok, message=text)), flush=True)


def put(bucket):
    step("put", boto3.client("s3"), "put_object", Bucket=bucket, Key="k", Body=b"x")


def delete(bucket):
    client = boto3.client("s3")
    step("delete", client, "delete_object", Bucket=bucket, Key="protected/k")
    step("get", client, "get_object", Bucket=bucket, Key="protected/k")


globals()[sys.argv[1]](sys.argv[2])
