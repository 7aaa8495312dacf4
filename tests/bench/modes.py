"""Sends or fetches one object of 1 GiB in one payload mode, as a stream, and says how long it took.

Reads one JSON object: host, ca, access_key_id, secret, token, mode. Prints {"seconds", "status"}; the
time begins when the first byte is sent and does not contain a digest that has to be known before.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import sys
import time
import zlib
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SIZE = 1 << 30
PIECE = b"x" * (256 * 1024)
# What the AWS SDKs that sign chunks take.
CHUNK = b"x" * (64 * 1024)
REGION, SERVICE = "us-east-1", "s3"
WORDS = {
    "unsigned": "UNSIGNED-PAYLOAD",
    "unsigned trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "signed chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "signed chunks + trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "download": hashlib.sha256(b"").hexdigest(),
}


def digest():
    whole = hashlib.sha256()
    for _ in range(SIZE // len(PIECE)):
        whole.update(PIECE)
    return whole.hexdigest()


def checksum(piece):
    value = 0
    for _ in range(SIZE // len(piece)):
        value = zlib.crc32(piece, value)
    return base64.b64encode(value.to_bytes(4, "big")).decode()


class Signer(S3SigV4Auth):
    """Binds the body by the word it is given."""

    def __init__(self, credentials, word):
        super().__init__(credentials, SERVICE, REGION)
        self.word = word

    def payload(self, request):
        return self.word


def plain():
    for _ in range(SIZE // len(PIECE)):
        yield PIECE


def unsigned_trailer():
    value, head = checksum(PIECE), b"%x\r\n" % len(PIECE)
    for _ in range(SIZE // len(PIECE)):
        yield head + PIECE + b"\r\n"
    yield f"0\r\nx-amz-checksum-crc32:{value}\r\n\r\n".encode()


def signed_chunks(request, secret, trailer):
    """The chain that AWS documents for `sigv4-streaming`."""
    stamp = request.headers["X-Amz-Date"]
    scope = f"{stamp[:8]}/{REGION}/{SERVICE}/aws4_request"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = request.headers["Authorization"]
    previous = (authorization if isinstance(authorization, str) else authorization.decode()).rsplit("=", 1)[1]
    empty = hashlib.sha256(b"").hexdigest()
    value = checksum(CHUNK) if trailer else None

    def sign(algorithm, rest):
        text = f"{algorithm}\n{stamp}\n{scope}\n{previous}\n{rest}"
        return hmac.digest(key, text.encode(), "sha256").hex()

    for _ in range(SIZE // len(CHUNK)):
        previous = sign("AWS4-HMAC-SHA256-PAYLOAD", f"{empty}\n{hashlib.sha256(CHUNK).hexdigest()}")
        yield b"%x;chunk-signature=%s\r\n" % (len(CHUNK), previous.encode()) + CHUNK + b"\r\n"
    previous = sign("AWS4-HMAC-SHA256-PAYLOAD", f"{empty}\n{empty}")
    end = f"0;chunk-signature={previous}\r\n"
    if trailer:
        line = f"x-amz-checksum-crc32:{value}"
        last = sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
        end += f"{line}\r\nx-amz-trailer-signature:{last}\r\n"
    yield (end + "\r\n").encode()


def length(mode):
    """Of the body as it is framed."""
    if mode == "unsigned trailer":
        frame = len(b"%x\r\n\r\n" % len(PIECE)) + len(PIECE)
        return SIZE // len(PIECE) * frame + len("0\r\nx-amz-checksum-crc32:????????\r\n\r\n")
    if mode.startswith("signed chunks"):
        line = len(";chunk-signature=") + 64
        frame = len(b"%x\r\n\r\n" % len(CHUNK)) + line + len(CHUNK)
        trailer = len("x-amz-checksum-crc32:????????\r\nx-amz-trailer-signature:\r\n") + 64
        return SIZE // len(CHUNK) * frame + len("0\r\n\r\n") + line + (trailer if "trailer" in mode else 0)
    return SIZE


def main():
    order = json.load(sys.stdin)
    mode = order["mode"]
    credentials = Credentials(order["access_key_id"], order["secret"], order["token"])
    method = "GET" if "download" in mode else "PUT"
    request = AWSRequest(method, f"https://{order['host']}/bench-bucket/gibibyte")
    request.headers["Host"] = order["host"]
    if "trailer" in mode or "chunks" in mode:
        request.headers["Content-Encoding"] = "aws-chunked"
        request.headers["X-Amz-Decoded-Content-Length"] = str(SIZE)
    if "trailer" in mode:
        request.headers["X-Amz-Trailer"] = "x-amz-checksum-crc32"
    if mode.startswith("presigned"):
        S3SigV4QueryAuth(credentials, SERVICE, REGION).add_auth(request)
    else:
        Signer(credentials, WORDS.get(mode) or digest()).add_auth(request)
    body = plain()
    if mode == "unsigned trailer":
        body = unsigned_trailer()
    elif "chunks" in mode:
        body = signed_chunks(request, order["secret"], "trailer" in mode)
    if method == "GET":
        body = ()

    parts = urlsplit(request.url)
    connection = http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context(cafile=order["ca"]))
    connection.connect()
    connection.putrequest(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if method == "PUT":
        connection.putheader("Content-Length", str(length(mode)))
    start = time.monotonic()
    connection.endheaders()
    for piece in body:
        connection.send(piece)
    answer = connection.getresponse()
    received = 0
    while piece := answer.read(len(PIECE)):
        received += len(piece)
    seconds = time.monotonic() - start
    whole = method == "PUT" or received == SIZE
    print(json.dumps({"seconds": seconds, "status": answer.status if whole else 0}))


main()
