"""Whether botocore signs a URL as it was signed: check_presigned.py URL METHOD SECRET...

Tries every secret, because the caller does not know which one belongs to the URL's access key.
Prints {"signed": bool}.
"""

import json
import sys
from datetime import datetime
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from botocore import auth, awsrequest, credentials

url, method, *secrets = sys.argv[1:]
parts = urlsplit(url)
query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
access_key, _, region, service, _ = query["X-Amz-Credential"].split("/")
time = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")


def signature(secret):
    identity = credentials.Credentials(access_key, secret, query["X-Amz-Security-Token"])
    signer = auth.S3SigV4QueryAuth(identity, service, region, expires=int(query["X-Amz-Expires"]))
    request = awsrequest.AWSRequest(method, f"{parts.scheme}://{parts.netloc}{parts.path}")
    with mock.patch.object(auth, "get_current_datetime", lambda: time):
        signer.add_auth(request)
    return parse_qs(urlsplit(request.url).query)["X-Amz-Signature"][0]


print(json.dumps({"signed": query["X-Amz-Signature"] in {signature(secret) for secret in secrets}}))
