"""Prints one JSON line for each way in which botocore addresses a bucket or an access point: the
host and the credential scope of a GetObject that is not sent. What botocore refuses is left out.
"""

import itertools
import json
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

REGIONS = {
    "us-east-1": "aws",
    "eu-west-1": "aws",
    "cn-north-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "us-iso-east-1": "aws-iso",
}
NAMES = [
    "my-bucket",
    "my.dotted.bucket",
    "s3-fips",
    "s3.us-east-1",
    "dynamodb",
    "x-123456789012",
    "arn:{partition}:s3:{region}:123456789012:accesspoint/my-point",
    "arn:{partition}:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
    "arn:{partition}:s3-object-lambda:{region}:123456789012:accesspoint/my-point",
    "arn:{partition}:s3-outposts:{region}:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/my-point",
]


def sent(client, bucket):
    """The request that would have gone out."""
    seen = []

    def keep(request, **_):
        seen.append(request)
        return AWSResponse(request.url, 404, {}, None)

    client.meta.events.register("before-send.s3.GetObject", keep)
    try:
        client.get_object(Bucket=bucket, Key="k")
    except BotoCoreError:
        pass
    except Exception:  # the answer made up above
        pass
    return seen[0] if seen else None


def main():
    session = botocore.session.get_session()
    for region, fips, dual, style in itertools.product(REGIONS, (False, True), (False, True), ("auto", "path", "virtual")):
        config = Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": style},
            use_dualstack_endpoint=dual,
            use_fips_endpoint=fips,
            auth_scheme_preference="sigv4",  # where there is a choice
        )
        client = session.create_client(
            "s3", region_name=region, config=config, aws_access_key_id="a", aws_secret_access_key="b"
        )
        for name in NAMES:
            bucket = name.format(partition=REGIONS[region], region=region)
            request = sent(client, bucket)
            if request is None:
                continue
            authorization = request.headers["Authorization"]
            if isinstance(authorization, bytes):
                authorization = authorization.decode()
            _, _, *region_of_scope, signing_name, _ = authorization.split("Credential=")[1].split(",")[0].split("/")
            url = urlsplit(request.url)
            print(json.dumps({
                "host": url.netloc,
                "path": url.path,
                "bucket": bucket,
                "partition": REGIONS[region],
                "region": region_of_scope[0] if region_of_scope else None,
                "signing_name": signing_name,
                "fips": fips,
                "dual_stack": dual,
            }))


main()
