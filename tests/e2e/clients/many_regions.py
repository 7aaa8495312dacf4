"""An S3 of many regions in AWS's place: believes Signature Version 4A alone, checks it with a
derivation of its own and OpenSSL, and keeps objects in memory.

Usage: many_regions.py PORT. The keys are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. `GET /-seen`
lists every other request and what was made of it.
"""

import hashlib
import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
ALGORITHM = "AWS4-ECDSA-P256-SHA256"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OBJECTS, SEEN = {}, []


def public_key():
    for counter in range(1, 255):
        fixed = b"\0\0\0\1" + ALGORITHM.encode() + b"\0" + KEY.encode() + bytes([counter]) + b"\0\0\1\0"
        candidate = int.from_bytes(hmac.new(b"AWS4A" + SECRET.encode(), fixed, hashlib.sha256).digest(), "big")
        if candidate <= ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1()).public_key()
    raise ValueError("no key")


PUBLIC = public_key()


def check(request, body):
    """Why a request is not believed, or nothing."""
    headers = {name.lower(): " ".join(value.split()) for name, value in request.headers.items()}
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme != ALGORITHM:
        return f"signed with {scheme or 'nothing'}"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    key, day, service, end = parts["Credential"].split("/")
    if (key, service, end, day) != (KEY, "s3", "aws4_request", headers["x-amz-date"][:8]):
        return f"scope {parts['Credential']}"
    names = parts["SignedHeaders"].split(";")
    needed = {"host", "x-amz-date", "x-amz-region-set", "x-amz-content-sha256"}
    if not needed <= set(names):
        return f"only {names} are signed"
    path, _, query = request.path.partition("?")
    pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
    stated = headers["x-amz-content-sha256"]
    lines = [request.command, path, "&".join(pairs)]
    lines += [f"{name}:{headers[name]}" for name in names] + ["", ";".join(names), stated]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = "\n".join([ALGORITHM, headers["x-amz-date"], f"{day}/s3/aws4_request", digest])
    try:
        PUBLIC.verify(bytes.fromhex(parts["Signature"]), text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return "the signature is another's"
    plain = stated in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    if not plain and stated != hashlib.sha256(body).hexdigest():
        return "the body is not the signed one"
    return None


def unframed(wire):
    data = b""
    while True:
        size, wire = wire.split(b"\r\n", 1)
        if not int(size, 16):
            return data
        data, wire = data + wire[: int(size, 16)], wire[int(size, 16) + 2 :]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"x-amz-request-id": "MANY-1", "content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def handle_request(self):
        body = self.body()
        if self.path == "/-seen":
            return self.answer(200, json.dumps(SEEN).encode())
        why = check(self, body)
        mode = self.headers.get("x-amz-content-sha256", "")
        seen = dict(method=self.command, path=self.path, why=why, set=self.headers.get("x-amz-region-set"))
        SEEN.append(seen | {"mode": "digest" if len(mode) == 64 else mode})
        if why:
            return self.error(403, "SignatureDoesNotMatch")
        path, _, query = self.path.partition("?")
        bucket, _, key = path[1:].partition("/")
        if self.command == "PUT":
            OBJECTS[bucket, key] = unframed(body) if "TRAILER" in mode else body
            return self.answer(200, etag='"1"')
        if self.command == "DELETE":
            OBJECTS.pop((bucket, key), None)
            return self.answer(204)
        if not key:
            prefix = quote(dict(parse_qsl(query)).get("prefix", ""), safe="/-._~")
            keys = sorted(unquote(known) for own, known in OBJECTS if own == bucket and known.startswith(prefix))
            rows = "".join(f"<Contents><Key>{escape(key)}</Key><Size>1</Size></Contents>" for key in keys)
            text = f"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{len(keys)}</KeyCount>{rows}</ListBucketResult>"
            return self.answer(200, text.encode(), content_type="application/xml")
        if (bucket, key) not in OBJECTS:
            return self.error(404, "NoSuchKey")
        return self.answer(200, OBJECTS[bucket, key], etag='"1"', last_modified="Sun, 06 Nov 1994 08:49:37 GMT")

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_request


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
