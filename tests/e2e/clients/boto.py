"""boto3 as an agent uses it: everything it knows of the gateway comes from the environment.

Usage: boto.py SCENARIO PREFIX. Prints one JSON object per step, with the number of attempts.
"""

import hashlib
import io
import json
import os
import sys
import ssl
import threading
import time
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEYS = ["a b/ü+~%2F&=?.txt", "..//x", "é/日本"]
SIZES = {"empty": 0, "single": 8 * 1024 * 1024, "multipart": 64 * 1024 * 1024}


def say(**line):
    print(json.dumps(line), flush=True)


class Counted:
    """A client whose attempts are counted, because botocore does not report them on success."""

    def __init__(self, service):
        self.client = boto3.client(service)
        self.service = service
        self.attempts = 0
        self.client.meta.events.register("before-send", self.count)

    def count(self, **_):
        self.attempts += 1

    def call(self, operation, value=lambda answer: None, **parameters):
        self.attempts = 0
        step = f"{self.service}.{operation}"
        try:
            answer = getattr(self.client, operation)(**parameters)
            say(step=step, ok=True, attempts=self.attempts, value=value(answer))
            return answer
        except ClientError as error:
            shape = error.response["Error"]
            status = error.response["ResponseMetadata"].get("HTTPStatusCode")
            modelled = type(error).__name__
            say(step=step, ok=False, attempts=self.attempts, code=shape.get("Code"), message=shape.get("Message"), status=status, type=modelled)
        except BotoCoreError as error:
            say(step=step, ok=False, attempts=self.attempts, code="BotoCoreError", message=str(error), type=type(error).__name__)
        return None


def table(name):
    return dict(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def services(prefix):
    dynamodb = Counted("dynamodb")
    dynamodb.call("create_table", **table(f"{prefix}-table"))
    dynamodb.call("put_item", TableName=f"{prefix}-table", Item={"id": {"S": "é日本"}, "n": {"N": "1"}})
    dynamodb.call("get_item", lambda a: a["Item"]["id"]["S"], TableName=f"{prefix}-table", Key={"id": {"S": "é日本"}})
    dynamodb.call("query", lambda a: a["Count"], TableName=f"{prefix}-table", KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": {"S": "é日本"}})
    sqs = Counted("sqs")
    queue = sqs.call("create_queue", QueueName=f"{prefix}-queue")
    if queue:
        sqs.call("send_message", QueueUrl=queue["QueueUrl"], MessageBody="a=b&c d\n<e>")
        sqs.call("receive_message", lambda a: a["Messages"][0]["Body"], QueueUrl=queue["QueueUrl"])
    ec2 = Counted("ec2")
    ec2.call("describe_vpcs", lambda a: len(a["Vpcs"]))
    ec2.call("describe_instances", lambda a: len(a["Reservations"]), Filters=[{"Name": "tag:a b", "Values": ["x&y", "é"]}], MaxResults=5)
    ec2.call("create_security_group", GroupName=f"{prefix} group", Description="a & b = c")
    iam = Counted("iam")
    iam.call("create_role", RoleName=f"{prefix}-role", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    iam.call("get_role", lambda a: a["Role"]["RoleName"], RoleName=f"{prefix}-role")
    cloudwatch = Counted("cloudwatch")
    cloudwatch.call("put_metric_data", Namespace=prefix, MetricData=[{"MetricName": "calls", "Value": 1.5, "Unit": "Count"}])
    cloudwatch.call("list_metrics", lambda a: len(a["Metrics"]), Namespace=prefix)
    secrets = Counted("secretsmanager")
    secrets.call("create_secret", Name=f"{prefix}/secret", SecretString="not a real secret")
    secrets.call("get_secret_value", lambda a: a["SecretString"], SecretId=f"{prefix}/secret")


def functions(prefix):
    functions = Counted("lambda")
    functions.call("list_functions", lambda a: len(a["Functions"]), MaxItems=10)
    functions.call("list_layers", lambda a: len(a["Layers"]))
    functions.call("get_function", FunctionName=f"{prefix}-no-such-function")


def objects(prefix):
    s3 = Counted("s3")
    bucket = f"{prefix}-bucket"
    s3.call("create_bucket", Bucket=bucket)
    for key in KEYS:
        s3.call("put_object", Bucket=bucket, Key=key, Body=key.encode())
        s3.call("get_object", lambda a: a["Body"].read().decode(), Bucket=bucket, Key=key)
        s3.call("head_object", lambda a: a["ContentLength"], Bucket=bucket, Key=key)
    s3.call("list_objects_v2", lambda a: [o["Key"] for o in a.get("Contents", [])], Bucket=bucket)
    s3.call("copy_object", Bucket=bucket, Key="copy of/é", CopySource={"Bucket": bucket, "Key": KEYS[0]})
    for name, size in SIZES.items():
        body = os.urandom(size)
        s3.attempts = 0
        config = TransferConfig(multipart_threshold=16 * 1024 * 1024, multipart_chunksize=16 * 1024 * 1024)
        s3.client.upload_fileobj(io.BytesIO(body), bucket, name, Config=config)
        came_back = io.BytesIO()
        s3.client.download_fileobj(bucket, name, came_back)
        same = hashlib.sha256(came_back.getvalue()).digest() == hashlib.sha256(body).digest()
        say(step=f"s3.round_trip.{name}", ok=same, attempts=s3.attempts, value=size)
    for key in KEYS:
        s3.call("delete_object", Bucket=bucket, Key=key)
    rest = [{"Key": key} for key in [*SIZES, "copy of/é"]]
    s3.call("delete_objects", lambda a: len(a["Deleted"]), Bucket=bucket, Delete={"Objects": rest})
    s3.call("list_objects_v2", lambda a: a["KeyCount"], Bucket=bucket)


def presigned(prefix):
    """URLs made by boto3 and used by something that knows nothing of AWS."""
    bucket, key = f"{prefix}-bucket", "a b/ü+~%.txt"
    boto3.client("s3").create_bucket(Bucket=bucket)
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])

    def fetch(step, url, method="GET", body=None, value=lambda answer: answer.status):
        request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "text/plain"} if body else {})
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                say(step=step, ok=True, value=value(answer))
        except urllib.error.HTTPError as error:
            say(step=step, ok=step in ("tampered", "sigv2"), value=error.read().decode() if step == "sigv2" else error.code)

    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    url = lambda operation, **more: s3.generate_presigned_url(operation, Params=dict(Bucket=bucket, **more), ExpiresIn=60)
    fetch("put", url("put_object", Key=key), "PUT", "héllo".encode())
    fetch("get", url("get_object", Key=key, ResponseContentType="text/plain"), value=lambda answer: answer.read().decode())
    fetch("head", url("head_object", Key=key), "HEAD")
    fetch("list", url("list_objects_v2", Prefix="a b/", MaxKeys=3))
    fetch("tampered", url("get_object", Key=key) + "&versionId=1")
    old = boto3.client("s3", config=Config(signature_version="s3"))
    fetch("sigv2", old.generate_presigned_url("get_object", Params=dict(Bucket=bucket, Key=key)))


def copies(prefix):
    """Between regions: botocore presigns a second call into the first."""
    there = boto3.client("ec2", region_name="eu-west-1")
    volume = there.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    snapshot = there.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2 = Counted("ec2")
    ec2.call("copy_snapshot", lambda a: a["SnapshotId"][:5], SourceRegion="eu-west-1", SourceSnapshotId=snapshot)
    ec2.call("copy_snapshot", SourceRegion="eu-central-1", SourceSnapshotId=snapshot)


def denied(prefix):
    Counted("dynamodb").call("delete_table", TableName=f"{prefix}-table")
    Counted("sqs").call("create_queue", QueueName=f"{prefix}-queue")
    Counted("ec2").call("run_instances", ImageId="ami-12345678", MinCount=1, MaxCount=1)
    Counted("iam").call("create_user", UserName=f"{prefix}-user")
    Counted("s3").call("put_object", Bucket=f"{prefix}-bucket", Key="k", Body=b"never stored")
    Counted("s3").call("delete_object", Bucket=f"{prefix}-bucket", Key="k")
    Counted("lambda").call("delete_function", FunctionName=f"{prefix}-function")
    Counted("lambda").call("invoke_with_response_stream", FunctionName=f"{prefix}-function")
    Counted("cloudwatch").call("delete_alarms", AlarmNames=[f"{prefix}-alarm"])
    Counted("secretsmanager").call("delete_secret", SecretId=f"{prefix}-secret")


def sts(prefix):
    sts = Counted("sts")
    sts.call("get_caller_identity", lambda a: {name: a[name] for name in ("UserId", "Account", "Arn")})
    sts.call("assume_role", RoleArn="arn:aws:iam::123456789012:role/AgentPower", RoleSessionName=prefix)
    sts.call("get_access_key_info", AccessKeyId="AKIAIOSFODNN7EXAMPLE")
    sts.call("decode_authorization_message", EncodedMessage="abc")


def express(bucket):
    """An SDK asks for a session of its own before it touches a directory bucket."""
    s3 = Counted("s3")
    s3.call("put_object", Bucket=bucket, Key="put", Body=b"stored")
    s3.call("get_object", Bucket=bucket, Key="put")
    s3.call("upload_part", Bucket=bucket, Key="part", UploadId="u", PartNumber=1, Body=b"part")
    s3.call("copy_object", Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "put"})
    s3.call("head_bucket", Bucket=bucket)
    s3.call("get_bucket_policy", Bucket=bucket)
    s3.call("list_directory_buckets")
    answer = s3.call("create_session", lambda a: a["Credentials"]["AccessKeyId"], Bucket=bucket, SessionMode="ReadOnly")
    if not answer:
        return
    url = s3.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "presigned"})
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    say(step="presigned", ok=True, value=urllib.request.urlopen(url, context=trust).status)
    keys = answer["Credentials"]
    held = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    for name, call in {
        "held.get_object": lambda: s3_with(held).get_object(Bucket=bucket, Key="held"),
        "held.put_object": lambda: s3_with(held).put_object(Bucket=bucket, Key="held", Body=b"no"),
        "held.create_session": lambda: s3_with(held).create_session(Bucket=bucket),
        "held.list_tables": lambda: held.client("dynamodb").list_tables(),
        "held.assume_role": lambda: held.client("sts").get_session_token(),
    }.items():
        try:
            call()
            say(step=name, ok=True)
        except ClientError as error:
            say(step=name, ok=False, code=error.response["Error"]["Code"], message=error.response["Error"]["Message"])


def s3_with(session):
    """A client that signs with these credentials as they are."""
    return session.client("s3", config=Config(s3={"disable_s3_express_session_auth": True}))


def chain(role):
    """From the role the environment names to another one, and a call from there."""
    sts = Counted("sts")
    answer = sts.call("assume_role", lambda a: a["Credentials"]["AccessKeyId"], RoleArn=role, RoleSessionName="chained")
    keys = answer["Credentials"]
    chained = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    say(step="chained.get_caller_identity", ok=True, value=chained.client("sts").get_caller_identity()["Arn"])
    say(step="chained.list_tables", ok=True, value=len(chained.client("dynamodb").list_tables()["TableNames"]))


def sign_in(prefix):
    """One call, to see how the sign-in before it went."""
    Counted("dynamodb").call("list_tables")


def load(prefix):
    """Calls that must never fail, and one probe that tells when policy changed; ends with its input."""
    stop = threading.Event()
    totals = {"calls": 0, "failed": []}
    lock = threading.Lock()

    def steady():
        client = boto3.client("dynamodb")
        while not stop.is_set():
            try:
                client.list_tables()
                with lock:
                    totals["calls"] += 1
            except (ClientError, BotoCoreError) as error:
                with lock:
                    totals["failed"].append(str(error))

    def probe():
        client, last = boto3.client("dynamodb"), None
        while not stop.is_set():
            try:
                client.describe_limits()
                now = "allowed"
            except ClientError as error:
                now = error.response["Error"]["Code"]
            if now != last:
                say(step="probe", value=now)
                last = now
            time.sleep(0.02)

    threads = [threading.Thread(target=steady) for _ in range(4)] + [threading.Thread(target=probe)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    say(step="load", ok=not totals["failed"], value=totals["calls"], failed=totals["failed"][:5])


if __name__ == "__main__":
    scenarios = (services, functions, objects, presigned, copies, denied, sts, chain, express, sign_in, load)
    {scenario.__name__: scenario for scenario in scenarios}[sys.argv[1]](sys.argv[2])
