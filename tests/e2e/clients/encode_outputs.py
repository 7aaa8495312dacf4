"""Writes outputs and errors as AWS's services do, one class a protocol, from the Smithy
specifications of the protocols: botocore only reads them.

Values are Python's, with a timestamp as seconds since the epoch. Where a protocol leaves a choice
(white space, quoting, open or closed collections, namespaces) it is taken at random.
"""

import base64
import email.utils
import json
import struct
from datetime import datetime, timezone
from xml.sax.saxutils import escape

XSI = "http://www.w3.org/2001/XMLSchema-instance"
LOCATIONS = ("header", "headers", "statusCode")


def timestamp(seconds, form):
    if form == "unixtimestamp":
        return repr(seconds)
    if form == "rfc822":
        return email.utils.formatdate(int(seconds), usegmt=True)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "") + "Z"


def timestamp_format(shape, usual):
    return shape.serialization.get("timestampFormat", usual).lower()


def number(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def wire_name(shape, name):
    return shape.serialization.get("name", name)


def in_body(shape):
    return {name: member for name, member in shape.members.items() if member.serialization.get("location") not in LOCATIONS}


def header(shape, value):
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return base64.b64encode(value.encode()).decode()
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return timestamp(value, timestamp_format(shape, "rfc822"))
    if kind == "list":
        return ", ".join(header(shape.member, each) for each in value)
    if kind == "blob":
        return base64.b64encode(value).decode()
    return number(value) if isinstance(value, float) else str(value)


class Json:
    """awsJson and restJson."""

    def __init__(self, rng):
        self.rng = rng

    def body(self, shape, value):
        tree = self.plain(shape, value)
        separators = self.rng.choice([None, (",", ":")])
        text = json.dumps(tree, ensure_ascii=self.rng.random() < 0.5, separators=separators)
        return (text + self.rng.choice(["", "\n"])).encode()

    def plain(self, shape, value):
        if value is None or getattr(shape, "is_document_type", False):
            return value
        return getattr(self, "plain_" + shape.type_name, self.as_is)(shape, value)

    def as_is(self, shape, value):
        return value

    def plain_structure(self, shape, value):
        tree = {}
        if shape.is_tagged_union:
            if self.rng.random() < 0.2:
                tree["__type"] = shape.name
        elif self.rng.random() < 0.2:
            tree["zz newer"] = self.rng.choice([None, "x", {"a": [1, {"b": "c"}]}])
        for name, member in shape.members.items():
            if name in value:
                tree[wire_name(member, name)] = self.plain(member, value[name])
            elif self.rng.random() < 0.05:
                tree[wire_name(member, name)] = None
        return tree

    def plain_list(self, shape, value):
        return [self.plain(shape.member, each) for each in value]

    def plain_map(self, shape, value):
        return {key: self.plain(shape.value, each) for key, each in value.items()}

    def plain_blob(self, shape, value):
        return base64.b64encode(value).decode()

    def plain_timestamp(self, shape, value):
        form = timestamp_format(shape, "unixtimestamp")
        return value if form == "unixtimestamp" else timestamp(value, form)

    def plain_float(self, shape, value):
        text = number(value)
        return text if text in ("NaN", "Infinity", "-Infinity") else value

    plain_double = plain_float


class Xml:
    """restXml, and what awsQuery and ec2Query answer in."""

    def __init__(self, rng):
        self.rng = rng
        self.space = rng.choice(["", "\n  ", "<!-- newer -->"])

    def document(self, root, inner, attributes="", namespaces=("", ' xmlns="http://aws.example/doc/2001-01-01/"')):
        declaration = self.rng.choice(["", '<?xml version="1.0" encoding="UTF-8"?>\n'])
        namespace = self.rng.choice(namespaces)
        return f"{declaration}<{root}{namespace}{attributes}>{inner}{self.space}</{root}>".encode()

    def element(self, name, shape, value):
        attributes = ""
        if shape.type_name == "structure":
            attributes = self.attributes(shape, value)
        inner = self.inner(shape, value)
        if not inner and self.rng.random() < 0.5:
            return f"{self.space}<{name}{attributes}/>"
        return f"{self.space}<{name}{attributes}>{inner}</{name}>"

    def attributes(self, shape, value):
        text = ""
        for name, member in shape.members.items():
            if name in value and member.serialization.get("xmlAttribute"):
                text += f' xmlns:xsi="{XSI}" {wire_name(member, name)}="{escape(value[name], {chr(34): "&quot;"})}"'
        return text

    def inner(self, shape, value):
        return getattr(self, "inner_" + shape.type_name, self.inner_scalar)(shape, value)

    def inner_scalar(self, shape, value):
        if isinstance(value, float):
            return number(value)
        # A literal carriage return is a line feed to every parser.
        return escape(str(value), {"\r": "&#13;"})

    def inner_boolean(self, shape, value):
        return "true" if value else "false"

    def inner_blob(self, shape, value):
        return base64.b64encode(value).decode()

    def inner_timestamp(self, shape, value):
        return timestamp(value, timestamp_format(shape, "iso8601"))

    def inner_structure(self, shape, value):
        members = [(name, member) for name, member in in_body(shape).items() if name in value]
        if not shape.is_tagged_union and self.rng.random() < 0.2:
            members.insert(self.rng.randint(0, len(members)), None)
        text = ""
        for each in members:
            if each is None:
                text += "<zzNewer><a>1</a><a>2</a></zzNewer>"
                continue
            name, member = each
            if not member.serialization.get("xmlAttribute"):
                text += self.member(wire_name(member, name), member, value[name])
        return text

    def member(self, name, shape, value):
        if shape.serialization.get("flattened") and shape.type_name == "list":
            name = shape.member.serialization.get("name", name)
            return "".join(self.element(name, shape.member, each) for each in value)
        if shape.serialization.get("flattened") and shape.type_name == "map":
            return "".join(f"<{name}>{self.entry(shape, *pair)}</{name}>" for pair in value.items())
        return self.element(name, shape, value)

    def inner_list(self, shape, value):
        name = shape.member.serialization.get("name", "member")
        return "".join(self.element(name, shape.member, each) for each in value)

    def inner_map(self, shape, value):
        return "".join(f"<entry>{self.entry(shape, *pair)}</entry>" for pair in value.items())

    def entry(self, shape, key, value):
        pair = [
            self.element(shape.key.serialization.get("name", "key"), shape.key, key),
            self.element(shape.value.serialization.get("name", "value"), shape.value, value),
        ]
        return "".join(pair)


class Cbor:
    """Smithy RPC v2."""

    def __init__(self, rng):
        self.rng = rng

    def body(self, shape, value):
        return self.item(shape, value)

    def head(self, major, length):
        major <<= 5
        if length < 24:
            return bytes([major | length])
        for extra, code, limit in ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64)):
            if length < limit:
                return bytes([major | extra]) + struct.pack(code, length)
        raise ValueError(length)

    def collection(self, major, items, count):
        if self.rng.random() < 0.5:
            return self.head(major, count) + b"".join(items)
        return bytes([major << 5 | 31]) + b"".join(items) + b"\xff"

    def text(self, text):
        data = text.encode()
        return self.head(3, len(data)) + data

    def item(self, shape, value):
        if value is None:
            return b"\xf6"
        return getattr(self, "item_" + shape.type_name)(shape, value)

    def item_structure(self, shape, value):
        items, count = [], 0
        for name, member in shape.members.items():
            if name in value:
                items.append(self.text(name) + self.item(member, value[name]))
        if not shape.is_tagged_union and self.rng.random() < 0.2:
            items.append(self.text("zz newer") + b"\x82\xa1aa\x9f\x01\xff\xf9\x3c\x00")
        return self.collection(5, items, len(items))

    def item_list(self, shape, value):
        return self.collection(4, [self.item(shape.member, each) for each in value], len(value))

    def item_map(self, shape, value):
        items = [self.text(key) + self.item(shape.value, each) for key, each in value.items()]
        return self.collection(5, items, len(items))

    def item_string(self, shape, value):
        return self.text(value)

    def item_blob(self, shape, value):
        return self.head(2, len(value)) + value

    def item_boolean(self, shape, value):
        return b"\xf5" if value else b"\xf4"

    def item_integer(self, shape, value):
        return self.head(0, value) if value >= 0 else self.head(1, -1 - value)

    item_long = item_integer

    def item_float(self, shape, value):
        if self.rng.random() < 0.5:
            return b"\xfa" + struct.pack(">f", value)
        return b"\xfb" + struct.pack(">d", value)

    item_double = item_float

    def item_timestamp(self, shape, value):
        if isinstance(value, int):
            return b"\xc1" + self.head(0, value)
        return b"\xc1\xfb" + struct.pack(">d", value)


def frame(headers, payload):
    """One message of an event stream; headers are strings, bytes, numbers or (type, value)."""
    from binascii import crc32

    block = b""
    for name, value in headers.items():
        block += bytes([len(name)]) + name.encode() + header_value(value)
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    prelude += struct.pack(">I", crc32(prelude))
    message = prelude + block + payload
    return message + struct.pack(">I", crc32(message))


def header_value(value):
    if isinstance(value, str):
        return b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
    kind, value = value
    if kind == "boolean":
        return b"\x00" if value else b"\x01"
    if kind == "blob":
        return b"\x06" + struct.pack(">H", len(value)) + value
    if kind == "timestamp":
        return b"\x08" + struct.pack(">q", int(value * 1000))
    if kind == "long":
        return b"\x05" + struct.pack(">q", value)
    return b"\x04" + struct.pack(">i", value)
