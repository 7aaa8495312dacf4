"""Writes one JSON line per operation, protocol and round: a random valid input and the request that
botocore's own serializer makes of it. Deterministic for a seed; sends nothing.

usage: generate_inputs.py [--rounds N] [--seed N] [--service NAME]... > inputs.jsonl
"""

import argparse
import base64
import datetime
import json
import random
import sys
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.serialize import create_serializer
from botocore.utils import is_json_value_header

ENDPOINT = "https://gw.example:8443"
ABSENT = object()
TEXTS = ["a", "Ab9", "a b", "ü/é", "日本", "x+y=z&w?%2F", "quo\"te'<&>", "a,b", "semi;colon:@", "~tilde_-."]
HEADER_TEXTS = ["a", "Ab9", "a b", "x+y=z&w?%2F", 'quo"te', "a,b", "k=v; w"]
# Path rules other than S3's leave no room for empty and dot segments.
GREEDY_TEXTS = ["a", "a/b", "arn:aws:x:us-east-1:123456789012:y/z", "ü/é b", "x+y=z&w?%2F"]
# S3 Express signs as another service than the model says, so its request is never sent like that;
# S3's deprecated operations cannot be told from their successors, which the gateway takes them for.
LEFT_OUT = {
    ("s3", "ListDirectoryBuckets"),
    ("s3", "GetBucketLifecycle"),
    ("s3", "GetBucketNotification"),
    ("s3", "PutBucketLifecycle"),
    ("s3", "PutBucketNotification"),
}
S3_KEYS = ["..//x", "a b/ü+~%2F&=?.txt", "é/日本", "/lead", "trail/", "./a/../b", "//", "%2e%2e", "a"]


class Generator:
    """Random valid inputs for one operation in one protocol."""

    def __init__(self, rng, protocol, service):
        self.rng = rng
        self.protocol = protocol
        self.service = service

    def input(self, shape):
        """A pair: what is given to the serializer, and the same as the gateway should decode it."""
        given, expected = {}, {}
        payload = shape.serialization.get("payload")
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wanted = name in shape.required_members or location == "uri" or member.serialization.get("hostLabel")
            if not wanted and self.rng.random() < 0.5:
                continue
            value = self.located(member, location, name, payload)
            if value is ABSENT:
                continue
            given[name], expected[name] = value
        return given, expected

    def located(self, member, location, name, payload):
        if member.serialization.get("hostLabel"):
            text = self.rng.choice(["123456789012", "a-label"])
            return text, text
        if location == "uri":
            return self.label(member, name)
        if location == "header":
            return self.header(member)
        if location == "headers":
            value = {"one": "1", "two-two": "a b"}
            return value, value
        if location == "querystring" and member.type_name in ("list", "map"):
            return self.collection(member)
        if location is None and name == payload and member.type_name == "blob":
            data = self.rng.randbytes(self.rng.randrange(20))
            return data, blob(data)
        return self.value(member, 0)

    def label(self, member, name):
        if member.type_name != "string":
            return self.value(member, 0)
        if self.service == "s3":
            text = self.rng.choice(S3_KEYS) if name == "Key" else self.rng.choice(["a-bucket", "b.c-d"])
        else:
            text = self.rng.choice(self.texts(member, GREEDY_TEXTS + TEXTS))
        return text, text

    def header(self, member):
        if is_json_value_header(member):
            value = {"a": [1, "b"]}
            return value, json.dumps(value, separators=(",", ":"))
        if member.type_name == "list":
            texts = ["a", "b,c", 'd"e'] if member.member.type_name == "string" else None
            return (texts, texts) if texts else ABSENT
        if member.type_name == "string":
            text = self.rng.choice(self.texts(member, HEADER_TEXTS))
            return text, text
        return self.value(member, 0)

    def collection(self, member):
        if member.type_name == "map":
            if member.value.type_name == "list":
                value = {"zz-key": ["a", "b c"], "other": ["1"]}
            else:
                value = {"zz-key": "a b", "other": "1"}
            return value, value
        pairs = [self.value(member.member, 0) for _ in range(self.rng.randint(1, 3))]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def texts(self, shape, texts):
        return list(getattr(shape, "enum", None) or texts)

    def value(self, shape, depth):
        make = getattr(self, "make_" + shape.type_name, None)
        if make is None:
            raise ValueError(shape.type_name)
        return make(shape, depth)

    def make_string(self, shape, depth):
        text = self.rng.choice(self.texts(shape, TEXTS))
        return text, text

    make_character = make_string

    def make_integer(self, shape, depth):
        number = self.rng.choice([0, 1, -5, 42, 2**31 - 1])
        return number, number

    make_long = make_short = make_byte = make_integer

    def make_biginteger(self, shape, depth):
        return self.make_integer(shape, depth)

    def make_float(self, shape, depth):
        # Exact in single precision too, which CBOR uses for `float`.
        number = self.rng.choice([0.5, -2.25, 1.0, 1e10, 3.125])
        return number, number

    make_double = make_bigdecimal = make_float

    def make_boolean(self, shape, depth):
        value = self.rng.random() < 0.5
        return value, value

    def make_timestamp(self, shape, depth):
        seconds = self.rng.randrange(10**9, 2 * 10**9)
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc), {"$timestamp": seconds}

    def make_blob(self, shape, depth):
        data = self.rng.randbytes(self.rng.randrange(1, 12))
        return data, blob(data)

    def make_structure(self, shape, depth):
        if shape.is_document_type:
            value = self.rng.choice([{"a": [1, {"b": None}], "c": "d"}, [1.5, True], "text"])
            return value, value
        if depth > 5:
            return ABSENT
        names = list(shape.members)
        if getattr(shape, "is_tagged_union", False):
            names = [self.rng.choice(names)]
        else:
            wanted = lambda n: n in shape.required_members or self.rng.random() < (0.4 if depth < 2 else 0.15)
            names = [name for name in names if wanted(name)]
        given, expected = {}, {}
        for name in names:
            pair = self.value(shape.members[name], depth + 1)
            if pair is not ABSENT:
                given[name], expected[name] = pair
        union = getattr(shape, "is_tagged_union", False)
        if not given and (union or self.vanishes()):
            return ABSENT
        return given, expected

    def make_list(self, shape, depth):
        if depth > 5:
            return ABSENT
        pairs = [self.value(shape.member, depth + 1) for _ in range(self.rng.choice([0, 1, 1, 2, 3]))]
        pairs = [pair for pair in pairs if pair is not ABSENT]
        # Only JSON, and awsQuery, have a way to write a list without elements.
        if not pairs and self.protocol in ("ec2", "rest-xml"):
            return ABSENT
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def make_map(self, shape, depth):
        if depth > 5:
            return ABSENT
        given, expected = {}, {}
        for key in self.rng.sample(self.texts(shape.key, TEXTS), 1):
            pair = self.value(shape.value, depth + 1)
            if pair is not ABSENT:
                given[key], expected[key] = pair
        if not given and self.vanishes():
            return ABSENT
        return given, expected

    def vanishes(self):
        return self.protocol in ("query", "ec2")


def blob(data):
    return {"$blob": base64.b64encode(data).decode()}


def line(model, operation, protocol, rng, of=None):
    """The input is one that protocol `of` can write."""
    generator = Generator(rng, of or protocol, model.service_name)
    shape = operation.input_shape
    given, expected = generator.input(shape) if shape is not None else ({}, {})
    serializer = create_serializer(protocol, include_validation=False)
    serialized = serializer.serialize_to_request(given, operation)
    if rng.random() < 0.5:
        serialized.pop("host_prefix", None)
    prepare_request_dict(serialized, ENDPOINT)
    prepared = create_request_object(serialized).prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    if isinstance(body, str):
        body = body.encode()
    headers = [[text(name), text(value)] for name, value in prepared.headers.items()]
    return {
        "service": model.service_name,
        "operation": operation.name,
        "protocol": protocol,
        "signing_name": model.signing_name,
        "authority": url.netloc,
        "method": prepared.method,
        "path": url.path or "/",
        "query": url.query or None,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
        "params": expected,
    }


def twins(model, operation, protocols, seed):
    """One input in every protocol that the service speaks: it must be read as the same call."""
    poorest = "query" if "query" in protocols else protocols[0]
    name = f"{model.service_name}/{operation.name}"
    for protocol in protocols:
        rng = random.Random(f"{seed}/{name}/twin")
        yield line(model, operation, protocol, rng, poorest) | {"twin": name}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--service", action="append")
    options = parser.parse_args()
    session = botocore.session.get_session()
    failed = 0
    for service in options.service or session.get_available_services():
        model = session.get_service_model(service)
        protocols = model.metadata.get("protocols", [model.protocol])
        for name in model.operation_names:
            operation = model.operation_model(name)
            if (service, name) in LEFT_OUT or operation.auth_type == "none" or operation.has_event_stream_input:
                continue
            for protocol in protocols:
                for round_ in range(options.rounds):
                    rng = random.Random(f"{options.seed}/{service}/{name}/{protocol}/{round_}")
                    try:
                        sys.stdout.write(json.dumps(line(model, operation, protocol, rng)) + "\n")
                    except Exception as error:
                        failed += 1
                        print(f"{service} {name} {protocol}: {error!r}", file=sys.stderr)
            if len(protocols) > 1:
                for twin in twins(model, operation, protocols, options.seed):
                    sys.stdout.write(json.dumps(twin) + "\n")
    print(f"{failed} inputs could not be serialized", file=sys.stderr)


if __name__ == "__main__":
    main()
