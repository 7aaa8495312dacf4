// Writes the model of a service that botocore leaves out, in botocore's form, from the schemas that
// AWS generates into its JavaScript client.
//
//     node client_model.mjs PACKAGE DIRECTORY
//
// PACKAGE is an installed `@aws-sdk/client-…`. DIRECTORY gets `service-2.json` and
// `endpoint-rule-set-1.json`. Whatever the schemas have that is not known here is an error.
//
// The schemas have one kind of number: inputs and headers count, outputs may have fractions.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [directory, output] = process.argv.slice(2);
const own = createRequire(join(directory, "package.json"));
const client = own(directory);

const [LIST, MAP, STRUCTURE, UNION, ERROR, OPERATION] = [1, 2, 3, 4, -3, 9];
const SCALARS = { 0: "string", 2: "boolean", 4: "timestamp", 7: "timestamp", 21: "blob" };
const NUMBER = 1;
const LISTED = 64;
const MAPPED = 128;
// Traits of members, as bits.
const [LABEL, IDEMPOTENT, TOKEN, SENSITIVE, PAYLOAD] = [1, 2, 4, 8, 16];

const shapes = {};
const counted = new Set();

const fail = (what) => {
  throw new Error(what);
};
const named = (kind) => {
  shapes[kind] ??= { type: kind.toLowerCase() };
  return kind;
};

/** The name of a shape for a schema. */
function shape(schema, isInput) {
  const target = typeof schema === "function" ? schema() : schema;
  if (target === NUMBER) return named(isInput ? "Integer" : "Double");
  if (typeof target === "number" && target in SCALARS) {
    const kind = SCALARS[target];
    return named(kind[0].toUpperCase() + kind.slice(1));
  }
  if (typeof target === "number" && target & (LISTED | MAPPED)) {
    const element = shape(target & ~(LISTED | MAPPED), isInput);
    const kind = target & LISTED ? "List" : "Map";
    shapes[kind + element] =
      kind === "List"
        ? { type: "list", member: { shape: element } }
        : { type: "map", key: { shape: named("String") }, value: { shape: element } };
    return kind + element;
  }
  return Array.isArray(target) ? aggregate(target, isInput) : fail(`schema ${target}`);
}

function aggregate([kind, , name, traits, ...rest], isInput) {
  if (counted.has(name)) return name;
  // An input is walked first, so that what both ways have counts.
  counted.add(name);
  if (kind === 0) {
    shapes[name] = { ...shapes[shape(rest[0], isInput)], ...flags(traits) };
  } else if (kind === LIST) {
    shapes[name] = { type: "list", member: { shape: shape(rest[0], isInput) } };
  } else if (kind === MAP) {
    const [key, value] = rest.map((part) => ({ shape: shape(part, isInput) }));
    shapes[name] = { type: "map", key, value };
  } else if ([STRUCTURE, UNION, ERROR].includes(kind)) {
    structure(kind, name, traits, rest, isInput);
  } else {
    fail(`kind ${kind} of ${name}`);
  }
  return name;
}

function structure(kind, name, traits, [names, types, required = 0], isInput) {
  const built = { type: "structure", members: {}, ...flags(traits) };
  if (required) built.required = names.slice(0, required);
  if (kind === UNION && !built.eventstream) built.union = true;
  if (kind === ERROR) {
    built.exception = true;
    built.error = { httpStatusCode: traits.httpError ?? fail(`no status of ${name}`) };
  }
  names.forEach((member, at) => {
    const [schema, bound] = Array.isArray(types[at]) && types[at].length === 2 ? types[at] : [types[at], 0];
    const header = bound?.httpHeader;
    const reference = { shape: shape(schema, isInput || header !== undefined) };
    if (typeof bound === "number") {
      if (bound & ~(LABEL | IDEMPOTENT | TOKEN | SENSITIVE | PAYLOAD)) fail(`traits ${bound} of ${member}`);
      if (bound & LABEL) Object.assign(reference, { location: "uri", locationName: member });
      if (bound & PAYLOAD) built.payload = member;
    } else {
      const { httpHeader, eventPayload, ...unknown } = bound;
      if (Object.keys(unknown).length) fail(`traits ${Object.keys(unknown)} of ${member}`);
      if (httpHeader) Object.assign(reference, { location: "header", locationName: httpHeader });
      if (eventPayload) reference.eventpayload = true;
    }
    built.members[member] = reference;
  });
  shapes[name] = built;
}

function flags(traits) {
  if (typeof traits === "number") return traits & SENSITIVE ? { sensitive: true } : {};
  const { streaming, error, httpError, ...unknown } = traits;
  if (Object.keys(unknown).length) fail(`traits ${Object.keys(unknown)}`);
  return streaming ? { eventstream: true } : {};
}

const all = Object.values(client).filter(Array.isArray);
const errors = all.filter(([kind, , name]) => kind === ERROR && !name.endsWith("ServiceException"));
const operations = {};
const found = all.filter(([kind]) => kind === OPERATION);
for (const [, , name, traits, input] of found) {
  const [method, requestUri, responseCode] = traits.http;
  operations[name] = { name, http: { method, requestUri, responseCode }, input: { shape: shape(input, true) } };
}
for (const [, , name, , , answer] of found) {
  operations[name].output = { shape: shape(answer, false) };
  operations[name].errors = errors.map((error) => ({ shape: shape(error, false) }));
}
if (!found.length) fail("no operation");

const Client = Object.entries(client).find(([name]) => name.endsWith("Client") && !name.startsWith("__"))[1];
const { config } = new Client({ region: "us-east-1" });
if (config.protocol.getShapeId() !== "aws.protocols#restJson1") fail("another protocol");
const [scheme] = config.httpAuthSchemeProvider({ operation: found[0][2], region: "us-east-1" });

/** The host in a region, where it has one of that kind. */
function host(Region, UseFIPS, UseDualStack) {
  try {
    return config.endpointProvider({ Region, UseFIPS, UseDualStack }).url.host;
  } catch {
    return undefined;
  }
}

const [endpointPrefix] = host("us-east-1", false, false).split(".");
const templates = [
  [false, false, `${endpointPrefix}.{Region}.{PartitionResult#dnsSuffix}`],
  [false, true, `${endpointPrefix}.{Region}.{PartitionResult#dualStackDnsSuffix}`],
  [true, false, `${endpointPrefix}-fips.{Region}.{PartitionResult#dnsSuffix}`],
  [true, true, `${endpointPrefix}-fips.{Region}.{PartitionResult#dualStackDnsSuffix}`],
];
const SUFFIXES = [
  ["us-east-1", "amazonaws.com", "api.aws"],
  ["eu-central-1", "amazonaws.com", "api.aws"],
  ["cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"],
  ["us-gov-west-1", "amazonaws.com", "api.aws"],
];
for (const [region, suffix, dual] of SUFFIXES) {
  for (const [fips, both, template] of templates) {
    const expected = template
      .replace("{Region}", region)
      .replace("{PartitionResult#dnsSuffix}", suffix)
      .replace("{PartitionResult#dualStackDnsSuffix}", dual);
    const seen = host(region, fips, both);
    if (seen !== expected) fail(`the host is ${seen}, not ${expected}`);
  }
}

const is = (name) => ({ fn: "booleanEquals", argv: [{ ref: name }, true] });
const supports = (what) => ({
  fn: "booleanEquals",
  argv: [true, { fn: "getAttr", argv: [{ ref: "PartitionResult" }, what] }],
});
const rules = [...templates].reverse().map(([fips, both, template]) => {
  const conditions = [];
  if (fips) conditions.push(is("UseFIPS"));
  if (both) conditions.push(is("UseDualStack"));
  const supported = [];
  if (fips) supported.push(supports("supportsFIPS"));
  if (both) supported.push(supports("supportsDualStack"));
  const endpoint = { url: `https://${template}`, properties: {}, headers: {} };
  const answer = { conditions: supported, endpoint, type: "endpoint" };
  if (!supported.length) return answer;
  const refusal = { conditions: [], error: "not in this partition", type: "error" };
  return { conditions, rules: [answer, refusal], type: "tree" };
});
const partition = { fn: "aws.partition", argv: [{ ref: "Region" }], assign: "PartitionResult" };
const parameter = (builtIn, type) => ({ builtIn, required: type === "Boolean", default: type === "Boolean" ? false : undefined, type });
const ruleSet = {
  version: "1.0",
  parameters: {
    Region: parameter("AWS::Region", "String"),
    UseDualStack: parameter("AWS::UseDualStack", "Boolean"),
    UseFIPS: parameter("AWS::UseFIPS", "Boolean"),
  },
  rules: [{ conditions: [partition], rules, type: "tree" }],
};

const metadata = {
  apiVersion: config.apiVersion,
  endpointPrefix,
  protocol: "rest-json",
  protocols: ["rest-json"],
  serviceId: config.serviceId,
  signingName: scheme.signingProperties.name,
};
const target = join(output, config.apiVersion);
mkdirSync(target, { recursive: true });
writeFileSync(join(target, "service-2.json"), JSON.stringify({ metadata, operations, shapes }, null, 1));
writeFileSync(join(target, "endpoint-rule-set-1.json"), JSON.stringify(ruleSet, null, 1));
