"""Compares the catalog's endpoints with botocore's own rule evaluator.

cargo xtask catalog --endpoints | python3 check_endpoints.py

Needs the botocore release that the catalog was made from. Prints what differs and the count; fails
if anything does.
"""

import sys

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

loader = Loader()
partitions = loader.load_data("partitions")
# What needs a bucket to matter, and what the model's host prefix does instead.
IGNORED = {"s3": {"UseS3ExpressControlEndpoint", "DisableAccessPoints", "DisableS3ExpressSessionAuth"}}
services = {}


def load(name):
    if name not in services:
        model = loader.load_service_model(name, "service-2")
        rules = loader.load_service_model(name, "endpoint-rule-set-1")
        services[name] = (model, rules, EndpointProvider(rules, partitions))
    return services[name]


def expected(service, operation, region, variant):
    model, rules, provider = load(service)
    ignored = IGNORED.get(service, set()) | {"RequiresAccountId"}
    fixed = model["operations"][operation].get("staticContextParams", {})
    given = {key: value["value"] for key, value in fixed.items() if key not in ignored}
    builtins = {
        "AWS::Region": region,
        "AWS::UseFIPS": "fips" in variant,
        "AWS::UseDualStack": "dualstack" in variant,
    }
    for name, parameter in rules["parameters"].items():
        if parameter.get("builtIn") in builtins:
            given[name] = builtins[parameter["builtIn"]]
    try:
        endpoint = provider.resolve_endpoint(**given)
    except EndpointProviderError:
        return ("-", "-", "-")
    metadata = model["metadata"]
    schemes = endpoint.properties.get("authSchemes", [])
    scheme = next((scheme for scheme in schemes if scheme["name"] == "sigv4"), {})
    prefix = model["operations"][operation].get("endpoint", {}).get("hostPrefix", "")
    return (
        fill(prefix) + endpoint.url.removeprefix("https://").rstrip("/"),
        scheme.get("signingName", metadata.get("signingName", metadata["endpointPrefix"])),
        scheme.get("signingRegion", region),
    )


def fill(prefix):
    while "{" in prefix:
        start, end = prefix.index("{"), prefix.index("}")
        prefix = prefix[:start] + "x" + prefix[end + 1 :]
    return prefix


compared = different = 0
for line in sys.stdin:
    service, operation, region, variant, *got = line.split()
    want = expected(service, operation, region, variant)
    compared += 1
    if tuple(got) != want:
        different += 1
        print(service, operation, region, variant, "got", *got, "want", *want)
print(f"compared {compared}, different {different}")
sys.exit(different != 0)
