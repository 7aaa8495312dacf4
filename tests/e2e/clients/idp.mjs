// The identity providers of the tests: a certified oidc-provider, and a second issuer whose keys
// can be rotated and whose endpoints can be made to fail. `/test/*` is the tests' own door: it
// forges tokens with these issuers' real keys, so that each forgery is wrong in one way only.
// Prints one JSON line with the issuers once both listen.

import { createServer } from 'node:http';
import { createHmac, randomUUID } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import Provider from 'oidc-provider';

const AUDIENCE = 'portcullis';
const GROUPS = {
  'agent-ci': ['agents'],
  'agent-two': ['agents'],
  'agent-uploads': ['agents', 'uploads'],
  'agent-power': ['agents', 'power'],
  outsider: [],
};

const stranger = await newKey('stranger');

async function newKey(kid) {
  const pair = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256', use: 'sig' };
  const secretJwk = { ...(await exportJWK(pair.privateKey)), kid, alg: 'RS256', use: 'sig' };
  return { kid, ...pair, jwk, secretJwk };
}

function listen(handler) {
  return new Promise((done) => {
    const server = createServer((request, response) => handler.serve(request, response));
    server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`));
  });
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : {};
}

const base64url = (text) => Buffer.from(text).toString('base64url');

// `how`: {claims, drop, header, signer}. A null claim is sent as null; `drop` names claims to leave out.
async function forge(issuer, how) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer.url, sub: 'agent-ci', aud: AUDIENCE, client_id: 'agent-ci', jti: randomUUID(),
    iat: now, exp: now + 600, groups: ['agents'], ...how.claims,
  };
  for (const claim of how.drop ?? []) delete claims[claim];
  const key = issuer.keys.at(-1);
  const header = { alg: 'RS256', typ: 'at+jwt', kid: key.kid, ...how.header };
  const unsigned = (alg) => `${base64url(JSON.stringify({ ...header, alg }))}.${base64url(JSON.stringify(claims))}`;
  switch (how.signer ?? 'issuer') {
    case 'issuer': return sign(claims, header, key.privateKey);
    case 'previous': return sign(claims, { ...header, kid: issuer.keys[0].kid }, issuer.keys[0].privateKey);
    case 'stranger': return sign(claims, header, stranger.privateKey);
    case 'stranger-in-header': return sign(claims, { ...header, jwk: stranger.jwk }, stranger.privateKey);
    case 'none': return `${unsigned('none')}.`;
    case 'none-mixed-case': return `${unsigned('nOnE')}.`;
    case 'public-key-as-secret': {
      const text = unsigned('HS256');
      return `${text}.${createHmac('sha256', await exportSPKI(key.publicKey)).update(text).digest('base64url')}`;
    }
    case 'modulus-as-secret': {
      const text = unsigned('HS256');
      return `${text}.${createHmac('sha256', Buffer.from(key.jwk.n, 'base64url')).update(text).digest('base64url')}`;
    }
    case 'payload-swapped': {
      const [head, , signature] = (await sign(claims, header, key.privateKey)).split('.');
      return `${head}.${base64url(JSON.stringify({ ...claims, sub: 'somebody-else' }))}.${signature}`;
    }
    default: throw new Error(`no signer ${how.signer}`);
  }
}

// jose refuses to sign headers with an unknown `crit`, which is the point of one forgery.
async function sign(claims, header, key) {
  const { crit, ...rest } = header;
  const options = crit ? { crit: Object.fromEntries(crit.map((name) => [name, true])) } : undefined;
  return new SignJWT(claims).setProtectedHeader(crit ? header : rest).sign(key, options);
}

class Issuer {
  keys = [];
  fetches = { discovery: 0, jwks: 0 };
  failing = false;

  async serve(request, response) {
    const path = new URL(request.url, this.url).pathname;
    if (path === '/test/forge') return answer(response, 200, { token: await forge(this, await readJson(request)) });
    if (path === '/test/rotate') return this.rotate(response, await readJson(request));
    if (path === '/test/fetches') return answer(response, 200, this.fetches);
    if (path === '/test/fail') { this.failing = (await readJson(request)).failing; return answer(response, 200, {}); }
    if (path === '/.well-known/openid-configuration') this.fetches.discovery += 1;
    if (path === '/jwks') this.fetches.jwks += 1;
    if (this.failing) return answer(response, 500, { error: 'switched off by the test' });
    if (path === '/jwks') return answer(response, 200, { keys: this.keys.map((key) => key.jwk) });
    return this.rest(path, request, response);
  }

  async rotate(response, { keep }) {
    const key = await newKey(randomUUID());
    this.keys = keep ? [...this.keys, key] : [key];
    answer(response, 200, { kid: key.kid });
  }
}

class Certified extends Issuer {
  async open() {
    this.keys = [await newKey('certified-1')];
    this.url = await listen(this);
    const provider = new Provider(this.url, {
      clients: Object.keys(GROUPS).map((client_id) => ({
        client_id, client_secret: `${client_id}-secret`, grant_types: ['client_credentials'],
        redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post',
      })),
      jwks: { keys: [this.keys[0].secretJwk] },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => 'urn:portcullis',
          getResourceServerInfo: () => ({
            scope: 'aws', audience: AUDIENCE, accessTokenTTL: 1800, accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'RS256' } },
          }),
        },
      },
      extraTokenClaims: (_, token) => ({ groups: GROUPS[token.clientId] }),
    });
    this.rest = (_, request, response) => provider.callback()(request, response);
    return this;
  }
}

class Switchable extends Issuer {
  async open(name) {
    this.keys = [await newKey(`${name}-1`)];
    this.url = await listen(this);
    this.rest = (path, _, response) => path === '/.well-known/openid-configuration'
      ? answer(response, 200, {
        issuer: this.url, jwks_uri: `${this.url}/jwks`, authorization_endpoint: `${this.url}/auth`,
        token_endpoint: `${this.url}/token`, response_types_supported: ['code'],
        subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'],
      })
      : answer(response, 404, {});
    return this;
  }
}

const certified = await new Certified().open();
const rotating = await new Switchable().open('rotating');
const failing = await new Switchable().open('failing');
console.log(JSON.stringify({ certified: certified.url, rotating: rotating.url, failing: failing.url }));
