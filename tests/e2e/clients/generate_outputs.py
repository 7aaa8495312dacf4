"""Writes one JSON line per answer: of every operation in every protocol an output, of every modelled
error an error, and of every operation that answers with events a stream of them. Each line has the
answer's bytes and what botocore's own parser reads from them. Deterministic for a seed; sends
nothing.

Stops with an error if botocore reads something else than what was meant to be written.

usage: generate_outputs.py [--seed N] [--service NAME]... > outputs.jsonl
"""

import argparse
import base64
import json
import random
import sys

import botocore.session
from botocore.awsrequest import HeadersDict
from botocore.exceptions import EventStreamError
from botocore.handlers import parse_get_bucket_location
from botocore.parsers import create_parser

from encode_outputs import Cbor, Json, Xml, frame, header, in_body, wire_name
from generate_inputs import TEXTS, blob

ABSENT = object()
HEADER_TEXTS = ["a", "Ab9", "a b", "x+y=z&w?%2F", 'quo"te', "a,b", "k=v; w", "W/\"x\""]
XML_TEXTS = ["", " lead and trail ", "a\r\nb", "]]>", "&amp;"]
FLOATS = [0.5, -2.25, 1.0, 1e10, 3.125, float("nan"), float("inf"), float("-inf")]
REQUEST_ID = "0a1b2c3d-4e5f-6789"
# Filled in by botocore from a header of another name; and the error code in a second place.
LEFT_OUT = {"ExpiresString", "x-amzn-errortype"}
# Its `Events`, which botocore reads as elements `Event`, has a deprecated neighbour of that name.
AMBIGUOUS = {("s3", "GetBucketNotification")}


class Generator:
    """Random values for an output's shapes."""

    def __init__(self, rng, protocol):
        self.rng = rng
        self.protocol = protocol
        self.sparse = protocol in ("json", "rest-json", "smithy-rpc-v2-cbor")

    def output(self, shape):
        value = {}
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if {name, wire_name(member, name).lower()} & LEFT_OUT or member.serialization.get("eventstream") or self.rng.random() < 0.3:
                continue
            made = self.located(member, location) if location else self.value(member, 0)
            if made is not ABSENT:
                value[name] = made
        return value

    def located(self, member, location):
        if location == "statusCode":
            return self.rng.choice([200, 201, 202])
        if location == "headers":
            return {"one": "1", "two-two": "a b"}
        if member.serialization.get("jsonvalue"):
            return '{"a":[1,"b"]}'
        if member.type_name == "string":
            return self.rng.choice(self.texts(member, HEADER_TEXTS))
        if member.type_name == "timestamp":
            return self.rng.randrange(10**9, 2 * 10**9)
        return self.value(member, 0)

    def texts(self, shape, texts):
        return list(getattr(shape, "enum", None) or texts)

    def value(self, shape, depth):
        if getattr(shape, "is_document_type", False):
            return self.rng.choice([{"a": [1, {"b": None}], "c": "d"}, [1.5, True], "text", 7])
        return getattr(self, "make_" + shape.type_name)(shape, depth)

    def make_string(self, shape, depth):
        xml = self.protocol in ("ec2", "query", "rest-xml")
        return self.rng.choice(self.texts(shape, TEXTS + (XML_TEXTS if xml else [""])))

    make_character = make_string

    def make_integer(self, shape, depth):
        return self.rng.choice([0, 1, -5, 42, 2**31 - 1])

    def make_long(self, shape, depth):
        return self.rng.choice([0, -1, 2**53 + 1, 2**63 - 1, -(2**63)])

    make_biginteger = make_long

    def make_float(self, shape, depth):
        return self.rng.choice(FLOATS)

    make_double = make_bigdecimal = make_float

    def make_boolean(self, shape, depth):
        return self.rng.random() < 0.5

    def make_timestamp(self, shape, depth):
        seconds = self.rng.randrange(10**9, 2 * 10**9)
        exact = shape.serialization.get("timestampFormat", "").lower() != "rfc822"
        return seconds + 0.25 if exact and self.rng.random() < 0.3 else seconds

    def make_blob(self, shape, depth):
        return self.rng.randbytes(self.rng.randrange(0, 12))

    def make_structure(self, shape, depth):
        if depth > 4:
            return ABSENT
        names = list(shape.members)
        if shape.is_tagged_union:
            names = [self.rng.choice(names)]
        elif len(names) > 4:
            wanted = max(2, len(names) // (2 << depth))
            names = [name for name in names if self.rng.random() < wanted / len(names)]
        value = {}
        for name in names:
            made = self.value(shape.members[name], depth + 1)
            if made is not ABSENT:
                value[name] = made
        return ABSENT if shape.is_tagged_union and not value else value

    def make_list(self, shape, depth):
        made = [self.value(shape.member, depth + 1) for _ in range(self.rng.choice([0, 1, 1, 2, 3]))]
        made = [each for each in made if each is not ABSENT]
        if made and self.sparse and self.rng.random() < 0.1:
            made.insert(self.rng.randint(0, len(made)), None)
        if not made and shape.serialization.get("flattened"):
            return ABSENT
        return made

    def make_map(self, shape, depth):
        keys = self.texts(shape.key, TEXTS)
        made = {key: self.value(shape.value, depth + 1) for key in self.rng.sample(keys, min(len(keys), self.rng.randint(0, 2)))}
        made = {key: value for key, value in made.items() if value is not ABSENT}
        if not made and shape.serialization.get("flattened"):
            return ABSENT
        return made


def plain(shape, value, parsed):
    """A value as the gateway's test writes it; `parsed` is whether botocore made it."""
    if value is None or getattr(shape, "is_document_type", False):
        return value
    kind = shape.type_name
    if kind == "structure":
        return {name: plain(shape.members[name], each, parsed) for name, each in value.items() if name in shape.members}
    if kind == "list":
        return [plain(shape.member, each, parsed) for each in value]
    if kind == "map":
        return {key: plain(shape.value, each, parsed) for key, each in value.items()}
    if kind == "blob":
        return blob(value.encode() if isinstance(value, str) else value)
    if kind == "timestamp":
        seconds = value.timestamp() if parsed else value
        return {"$timestamp": int(seconds) if seconds == int(seconds) else seconds}
    if kind in ("float", "double"):
        number = float(value)
        if number != number:
            return "NaN"
        return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(number, number)
    if not isinstance(value, str) and kind == "string":
        return json.dumps(value, separators=(",", ":"))
    return value


class Stream:
    """A body that botocore streams."""

    def __init__(self, data):
        self.data = data

    def stream(self):
        yield self.data


class Case:
    """An answer to one operation in one protocol."""

    def __init__(self, model, operation, protocol, rng):
        self.model, self.operation, self.protocol, self.rng = model, operation, protocol, rng
        self.generator = Generator(rng, protocol)
        self.headers = {}
        if protocol not in ("query", "ec2"):
            self.headers["x-amz-request-id" if protocol == "rest-xml" else "x-amzn-requestid"] = REQUEST_ID
        self.status = 200
        self.rest = protocol in ("rest-json", "rest-xml")

    def line(self, kind, body, expected):
        return {
            "kind": kind,
            "service": self.model.service_name,
            "operation": self.operation.name,
            "protocol": self.protocol,
            "json_version": self.model.metadata.get("jsonVersion", "1.0"),
            "status": self.status,
            "headers": [[name, value] for name, value in self.headers.items()],
            "body": base64.b64encode(body).decode(),
            "expected": expected,
        }

    def parse(self, body, shape):
        headers = HeadersDict()
        for name, value in self.headers.items():
            headers[name] = value
        response = {
            "status_code": self.status,
            "headers": headers,
            "body": body,
            "context": {"operation_name": self.operation.name},
        }
        return create_parser(self.protocol).parse(response, shape)

    def output(self):
        shape = self.operation.output_shape
        if shape is None:
            body = self.body(None, {})
            self.parse(body, None)
            return self.line("output", body, {})
        value = self.generator.output(shape)
        payload = shape.serialization.get("payload")
        stream = shape.event_stream_name
        if payload and not stream and shape.members[payload].type_name in ("blob", "string"):
            # botocore decodes a payload that is not streamed.
            value[payload] = self.rng.choice(TEXTS + [""])
            if shape.members[payload].type_name == "blob":
                value[payload] = value[payload].encode()
        if self.rest:
            self.put_headers(shape, value)
        streaming = self.operation.has_streaming_output
        body = b"" if stream else self.body(shape, value)
        parsed = self.parsed_output(shape, body, streaming or stream)
        expected = {name: plain(shape.members[name], each, True) for name, each in parsed.items() if name in shape.members and name != (stream or streaming and payload)}
        meant = {name: plain(shape.members[name], each, False) for name, each in value.items() if name != (streaming and payload)}
        if stream and not self.rest:
            expected = meant = {}
        compare(expected, self.complete(shape, meant, payload))
        if streaming or stream:
            expected[stream or payload] = {"$stream": True}
        line = self.line("output", body, expected)
        line["streamed"] = bool(streaming or stream)
        return line

    def parsed_output(self, shape, body, streaming):
        if streaming and not self.rest:
            body = Stream(frame({":message-type": "event", ":event-type": "initial-response"}, b"\xa0" if self.protocol == "smithy-rpc-v2-cbor" else b"{}"))
        elif streaming:
            body = Stream(body)
        parsed = self.parse(body, shape)
        if (self.model.service_name, self.operation.name) == ("s3", "GetBucketLocation"):
            parse_get_bucket_location(parsed, type("Response", (), {"raw": body, "content": body}))
            if not parsed["LocationConstraint"]:
                parsed["LocationConstraint"] = ""
        return parsed

    def complete(self, shape, meant, payload):
        """Adds what an answer has although nothing was written."""
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if location == "statusCode" and self.rest:
                meant.setdefault(name, self.status)
            if location == "headers" and self.rest:
                whole = self.headers.items() if not wire_name(member, "") else []
                meant[name] = {**meant.get(name, {}), **{key.lower(): each for key, each in whole}}
        if payload and payload not in meant and not shape.members[payload].serialization.get("eventstream"):
            if shape.members[payload].type_name == "structure" and not self.operation.has_streaming_output:
                meant[payload] = {}
        if (self.model.service_name, self.operation.name) == ("s3", "GetBucketLocation"):
            meant.setdefault("LocationConstraint", "")
        return meant

    def put_headers(self, shape, value):
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if name not in value or location is None:
                continue
            if location == "statusCode":
                self.status = value[name]
            elif location == "headers":
                for key, each in value[name].items():
                    self.headers[(wire_name(member, name) + key).lower()] = each
            elif location == "header":
                self.headers[wire_name(member, name)] = header(member, value[name])

    def body(self, shape, value):
        if self.protocol in ("query", "ec2"):
            return self.query_body(shape, value)
        if shape is None:
            return self.rng.choice([b"", b"{}"]) if "json" in self.protocol else b""
        if self.protocol == "smithy-rpc-v2-cbor":
            return Cbor(self.rng).body(shape, value)
        if self.protocol == "json":
            return Json(self.rng).body(shape, value)
        return self.rest_body(shape, value)

    def query_body(self, shape, value):
        xml = Xml(self.rng)
        inner = xml.inner(shape, value) if shape is not None else ""
        name = self.operation.name
        if self.protocol == "ec2":
            return xml.document(f"{name}Response", f"<requestId>{REQUEST_ID}</requestId>{inner}")
        wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
        if wrapper:
            inner = f"<{wrapper}>{inner}</{wrapper}>"
        metadata = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
        return xml.document(f"{name}Response", inner + metadata)

    def rest_body(self, shape, value):
        payload = shape.serialization.get("payload")
        if payload:
            member = shape.members[payload]
            if payload not in value:
                return b""
            if member.type_name == "blob":
                return value[payload]
            if member.type_name == "string" and not getattr(member, "is_document_type", False):
                return value[payload].encode()
            if self.protocol == "rest-json":
                return Json(self.rng).body(member, value[payload])
            xml = Xml(self.rng)
            name = wire_name(member, member.name)
            attributes = xml.attributes(member, value[payload]) if member.type_name == "structure" else ""
            return xml.document(name, xml.inner(member, value[payload]), attributes)
        unbound = {name: each for name, each in value.items() if name in in_body(shape)}
        if not in_body(shape) or (not unbound and self.rng.random() < 0.5):
            return b""
        if self.protocol == "rest-json":
            return Json(self.rng).body(unbound_shape(shape), unbound)
        xml = Xml(self.rng)
        if (self.model.service_name, self.operation.name) == ("s3", "GetBucketLocation"):
            xml.space = ""
            return xml.document("LocationConstraint", value.get("LocationConstraint", ""))
        lead = self.rng.choice(["", "  \n"]) if self.model.service_name == "s3" else ""
        document = xml.document(shape.name, xml.inner(shape, unbound))
        # What comes before a declaration is not XML; S3 writes it after.
        return document if document.startswith(b"<?") else lead.encode() + document

    def error(self, shape):
        value = self.generator.output(shape)
        message = self.rng.choice(["no", "a ü", 'quo"te'])
        for name in ("message", "Message"):
            if name in shape.members:
                value[name] = message
        if self.protocol in ("query", "rest-xml") and "Code" in shape.members:
            value["Code"] = shape.error_code
        self.status = shape.metadata.get("error", {}).get("httpStatusCode", 400)
        if any(member.serialization.get("location") == "statusCode" for member in shape.members.values()):
            raise ValueError("an error with its status as a member")
        if self.rest:
            self.put_headers(shape, value)
        body = self.error_body(shape, value, message)
        parsed = self.parse(body, self.operation.output_shape)
        found = self.model.shape_for_error_code(parsed["Error"]["Code"])
        if found is None or found.name != shape.name:
            raise ValueError(f"botocore takes it for {found}: {parsed}")
        members = self.parse(body, shape)
        members = {name: plain(shape.members[name], each, True) for name, each in members.items() if name in shape.members}
        compare(members, plain(shape, value, False))
        compare(parsed["Error"].get("Message"), message)
        expected = {"code": shape.error_code, "message": message, "shape": shape.name, "members": members}
        return self.line("error", body, expected)

    def error_body(self, shape, value, message):
        code = shape.error_code
        unbound = {name: each for name, each in value.items() if name in in_body(shape)}
        if self.protocol in ("query", "ec2", "rest-xml"):
            xml = Xml(self.rng)
            inner = xml.inner(shape, unbound)
            known = {wire_name(member, name) for name, member in shape.members.items() if name in unbound}
            if "Message" not in known:
                inner = f"<Message>{message}</Message>{inner}"
            if "Code" not in known:
                inner = f"<Code>{code}</Code>{inner}"
            if self.model.service_name == "s3":
                return xml.document("Error", f"{inner}<RequestId>{REQUEST_ID}</RequestId>", namespaces=[""])
            error = f"<Error><Type>Sender</Type>{inner}</Error>"
            return xml.document("ErrorResponse", f"{error}<RequestId>{REQUEST_ID}</RequestId>")
        name = code
        if code != shape.name and "awsQueryCompatible" in self.model.metadata:
            name = shape.name
            self.headers["x-amzn-query-error"] = f"{code};Sender"
        fields = dict(unbound)
        extra = {} if any(n in shape.members for n in ("message", "Message")) else {"message": message}
        if self.protocol == "smithy-rpc-v2-cbor":
            return self.cbor_error(shape, fields, {**extra, "__type": f"com.example#{name}"})
        tree = Json(self.rng).plain(unbound_shape(shape), fields)
        tree.update(extra)
        wire_names = {wire_name(member, name).lower() for name, member in shape.members.items()}
        ways = ["type", "namespaced"]
        if self.protocol == "rest-json":
            # botocore takes a member `code` for the code, and has two members of one header.
            ways += [] if "x-amzn-errortype" in wire_names else ["header"]
            ways = ["header"] if "code" in wire_names else ways + ["code"]
        way = self.rng.choice(ways)
        if way == "header":
            self.headers["x-amzn-errortype"] = f"{name}:http://internal.example/"
        elif way == "code":
            tree["code"] = name
        else:
            tree["__type"] = name if way == "type" else f"com.example#{name}"
        return json.dumps(tree).encode()

    def cbor_error(self, shape, value, extra):
        cbor = Cbor(self.rng)
        items = [cbor.text(name) + cbor.item(shape.members[name], each) for name, each in value.items()]
        items += [cbor.text(name) + cbor.text(each) for name, each in extra.items()]
        return cbor.collection(5, items, len(items))

    def events(self):
        """Every event of an operation's stream, then every exception, each read by itself."""
        output = self.operation.output_shape
        stream = output.members[output.event_stream_name]
        frames = []
        for name, event in stream.members.items():
            value = self.generator.output(event)
            for member in event.members:
                value.setdefault(member, self.generator.value(event.members[member], 0))
            value = {member: each for member, each in value.items() if each is not ABSENT}
            exception = event.metadata.get("exception", False)
            payload, headers = self.event(event, value)
            kind = {":message-type": "exception", ":exception-type": name} if exception else {":message-type": "event", ":event-type": name}
            data = frame({**kind, **headers}, payload)
            frames.append({"frame": base64.b64encode(data).decode(), "name": name, "exception": exception, "value": self.parsed_event(stream, event, name, data, value)})
        return self.line("events", b"", frames)

    def event(self, event, value):
        headers, body = {}, {}
        payload = None
        for name, member in event.members.items():
            if name not in value:
                continue
            if member.serialization.get("eventheader"):
                kind = member.type_name
                headers[name] = value[name] if kind == "string" else (kind, value[name])
            elif member.serialization.get("eventpayload"):
                payload = member, value[name]
            else:
                body[name] = value[name]
        if payload and payload[0].type_name == "blob":
            return payload[1], headers
        if payload and payload[0].type_name == "string":
            return payload[1].encode(), headers
        shape, body = payload or (event, body)
        if not body and payload is None:
            return b"", headers
        if self.protocol == "rest-xml":
            xml = Xml(self.rng)
            return xml.document(shape.name, xml.inner(shape, body)), headers
        return Json(self.rng).body(shape, body), headers

    def parsed_event(self, stream, event, name, data, value):
        raw = Stream(data)
        parser = create_parser(self.protocol)._event_stream_parser
        from botocore.eventstream import EventStream

        events = EventStream(raw, stream, parser, self.operation.name)
        meant = plain(event, value, False)
        try:
            (parsed,) = list(events)
        except EventStreamError:
            # botocore tells the message alone, so the rest is what was meant.
            return meant
        read = plain(event, parsed[name], True)
        compare(read, meant)
        return read


def unbound_shape(shape):
    """A structure without what headers carry."""

    class Unbound:
        type_name = "structure"
        is_tagged_union = getattr(shape, "is_tagged_union", False)
        is_document_type = False
        name = shape.name
        members = in_body(shape)

    return Unbound


def compare(read, meant):
    if json.dumps(read, sort_keys=True) != json.dumps(meant, sort_keys=True):
        raise ValueError(f"botocore read {json.dumps(read, sort_keys=True)} where {json.dumps(meant, sort_keys=True)} was meant")


def cases(model, seed):
    protocols = model.metadata.get("protocols", [model.protocol])
    reached = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        for error in operation.error_shapes:
            # Where two shapes have one code, botocore knows the last.
            if model.shape_for_error_code(error.error_code).name == error.name:
                reached.setdefault(error.name, (operation, error))
        for protocol in protocols:
            if (model.service_name, name) in AMBIGUOUS:
                continue
            rng = random.Random(f"{seed}/{model.service_name}/{name}/{protocol}")
            yield f"{model.service_name} {name} {protocol}", Case(model, operation, protocol, rng).output
            if operation.has_event_stream_output:
                yield f"{model.service_name} {name} {protocol} events", Case(model, operation, protocol, rng).events
    for operation, error in reached.values():
        for protocol in protocols:
            rng = random.Random(f"{seed}/{model.service_name}/{error.name}/{protocol}")
            case = Case(model, operation, protocol, rng)
            yield f"{model.service_name} {error.name} {protocol}", lambda case=case, error=error: case.error(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--service", action="append")
    options = parser.parse_args()
    session = botocore.session.get_session()
    failed = 0
    for service in options.service or session.get_available_services():
        for name, make in cases(session.get_service_model(service), options.seed):
            try:
                sys.stdout.write(json.dumps(make()) + "\n")
            except Exception as error:
                failed += 1
                print(f"{name}: {error!r}"[:600], file=sys.stderr)
    if failed:
        sys.exit(f"{failed} answers are not what botocore reads")


if __name__ == "__main__":
    main()
