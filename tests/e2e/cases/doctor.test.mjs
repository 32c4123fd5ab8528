// `portcullis doctor` names the cause of a login that fails: one thing is wrong at a time.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { certificates } from '../support/certificates.mjs';
import { examine } from '../support/doctor.mjs';
import { freePort } from '../support/ports.mjs';
import { requestToken } from '../support/tokens.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  issuer: { tokenLifetime: 3 },
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url, authorities: ['localhost:1'] }],
});

const METADATA = /^\/\.well-known\//;
const inMetadata = (change) => (answer) => {
  if (!METADATA.test(answer.path) || answer.status !== 200) return answer;
  const document = JSON.parse(answer.text);
  change(document, answer);
  return { ...answer, text: JSON.stringify(document) };
};
const inKeys = (change) => (answer) => {
  if (answer.path !== '/jwks') return answer;
  const set = JSON.parse(answer.text);
  change(set);
  return { ...answer, text: JSON.stringify(set) };
};
const at = (place, other) => (answer) => (place.test(answer.path) ? { ...answer, ...other } : answer);
const html = { status: 200, headers: { 'content-type': 'text/html' }, text: '<html>sign in</html>' };
const issuerUrl = () => `issuer = ${JSON.stringify(cast.issuer.url)}`;

test('nothing is wrong: every step is said, and the exit status is 0', async () => {
  const token = await cast.issuer.clientCredentials(cast.gateway.url);
  const { code, problems, warnings, findings } = await examine(cast.gateway, { token });
  assert.deepEqual([code, [...problems], [...warnings]], [0, [], []]);
  const codes = new Set(findings.filter((one) => one.level === 'ok').map((one) => one.code));
  for (const step of ['metadata', 'client.pkce', 'client.registration', 'clock', 'keys', 'keys.key', 'tls',
    'outside.metadata', 'outside.challenge', 'upstream', 'token.claim', 'token.signature', 'token.scopes']) {
    assert.ok(codes.has(step), step);
  }
  assert.ok(findings.some((one) => one.text.startsWith(`aud ${JSON.stringify(cast.gateway.url)}`)));
});

test('people get text, with what to do', async () => {
  const { code, output } = await examine(cast.gateway, { json: false, edit: (text) => text.replace('/mcp"\nissuers', '/wrong"\nissuers') });
  assert.equal(code, 1);
  assert.match(output, /^issuer oidc: http:/m);
  assert.match(output, / {2}problem {2}https:\S+\/wrong answers 404 Not Found .*\[outside\.challenge\]\n {2}\s+-> does something in front/);
  assert.match(output, /2 problems, 0 warnings/);
});

// ── The issuer ───────────────────────────────────────────────────────────────────────────────────

for (const [what, { alter, edit, options, problems, says }] of Object.entries({
  'the issuer ends with a slash here and not there': {
    edit: (text) => text.replace(issuerUrl(), `issuer = "${cast.issuer.url}/"`),
    problems: ['metadata.issuer', 'outside.servers'], says: /differ in the slash at the end; .*issuer = "http:\/\/127/,
  },
  'no form of the metadata is served': {
    alter: at(METADATA, { status: 404, text: '' }), problems: ['metadata.none'], says: /in any form/,
  },
  'the metadata is somewhere else': {
    alter: at(METADATA, { status: 302, headers: { location: 'https://login.example.com/' } }),
    problems: ['metadata.redirect'], says: /302 Found to "https:\/\/login\.example\.com\/"/,
  },
  'a login page stands before the metadata': {
    alter: at(METADATA, html), problems: ['metadata.malformed'], says: /no JSON object, but "text\/html"/,
  },
  'the metadata fails': { alter: at(METADATA, { status: 500 }), problems: ['metadata.status'], says: /500/ },
  'the metadata does not mention PKCE': {
    alter: inMetadata((document) => { delete document.code_challenge_methods_supported; }),
    problems: ['client.pkce'], says: /lists no code_challenge_methods_supported/,
  },
  'PKCE is plain only': {
    alter: inMetadata((document) => { document.code_challenge_methods_supported = ['plain']; }),
    problems: ['client.pkce'], says: /lists no S256/,
  },
  'there is no token endpoint': {
    alter: inMetadata((document) => { delete document.token_endpoint; }), problems: ['client.endpoint'], says: /no token_endpoint/,
  },
  'the authorization code flow is off': {
    alter: inMetadata((document) => { document.response_types_supported = ['id_token']; document.grant_types_supported = ['implicit']; }),
    problems: ['client.code'], says: /authorization code flow/,
  },
  'the metadata names no key set': {
    alter: inMetadata((document) => { delete document.jwks_uri; }), problems: ['metadata.jwks_uri'], says: /no jwks_uri/,
  },
  'the key set is not there': { alter: at(/^\/jwks$/, { status: 404 }), problems: ['keys.status'], says: /404/ },
  'the key set is somewhere else': {
    alter: at(/^\/jwks$/, { status: 301, headers: { location: '/keys' } }), problems: ['keys.redirect'], says: /301 .*"\/keys"/,
  },
  'the key set is a page': { alter: at(/^\/jwks$/, html), problems: ['keys.malformed'], says: /no JSON object with one "keys" array/ },
  'the keys are for encryption': {
    alter: inKeys((set) => { set.keys.forEach((key) => { key.use = 'enc'; }); }), problems: ['keys.algorithms'], says: /no key fits/,
  },
  'the keys are for another algorithm': {
    alter: inKeys((set) => { set.keys.forEach((key) => { key.alg = 'RS512'; }); }),
    problems: ['keys.algorithms'], says: /algorithms with one of the set's own: RS512/,
  },
  'a private key is published': {
    alter: inKeys((set) => { set.keys.push({ ...set.keys[0], kid: 'oops', d: 'AQAB' }); }),
    problems: ['keys.private'], says: /"oops" is published with its private part/,
  },
  'the clocks differ': {
    alter: (answer) => ({ ...answer, headers: { ...answer.headers, date: new Date(Date.now() + 600_000).toUTCString() } }),
    problems: ['clock'], says: /(599|600) s ahead of this machine's, and 30 s are forgiven/,
  },
  'keys come in plain text over a network': {
    alter: inMetadata((document) => { document.jwks_uri = 'http://keys.example.com/jwks'; }), problems: ['keys.insecure'], says: /no https/,
  },
  'the issuer is nowhere': {
    edit: (text) => text.replace(issuerUrl(), 'issuer = "https://login.invalid"'), problems: ['dns', 'outside.servers'], says: /login\.invalid has no address/,
  },
  'a hosted client cannot get to a private address': { options: ['--as', 'claude'], problems: ['client.reach'], says: /Claude connects from its vendor's network/ },
  'Entra for everybody is no issuer': {
    edit: (text) => text.replace(issuerUrl(), 'issuer = "https://login.microsoftonline.com/common/v2.0"\nca = "/nowhere"').replace('ca = "/nowhere"', ''),
    problems: ['provider.issuer', 'dns', 'outside.servers'], says: /one \[\[issuers\]\] table per tenant/,
  },
})) {
  test(`named: ${what}`, async () => {
    cast.issuer.alter = alter;
    try {
      const found = await examine(cast.gateway, { edit, options });
      assert.equal(found.code, 1);
      // What cannot be reached from here differs from network to network.
      const expected = problems.filter((code) => code !== 'dns' || found.problems.has('dns'));
      assert.deepEqual([...found.problems.keys()].filter((code) => code !== 'connect').sort(), expected.sort());
      const { text, fix } = found.problems.get(problems[0]);
      assert.match(`${text} ${fix}`, says);
    } finally {
      cast.issuer.alter = undefined;
    }
  });
}

for (const [what, { alter, options, warning, says }] of Object.entries({
  'clients cannot register themselves': {
    alter: inMetadata((document) => { delete document.registration_endpoint; }), options: ['--as', 'cursor'],
    warning: 'client.registration', says: /by hand with the redirect URI cursor:\/\/anysphere/,
  },
  'clients can register by a document only, and this one cannot': {
    alter: inMetadata((document) => { delete document.registration_endpoint; document.client_id_metadata_document_supported = true; }),
    options: ['--as', 'cursor'], warning: 'client.registration', says: /which this client does not know/,
  },
  'the scope of the route is unknown there': {
    alter: inMetadata((document) => { document.scopes_supported = ['openid']; }), warning: 'client.scopes', says: /mcp:tools/,
  },
  'two forms differ': {
    alter: inMetadata((document, answer) => { if (answer.path.includes('oauth-')) document.token_endpoint = 'https://other.example.com/token'; }),
    warning: 'metadata.differ', says: /differ in token_endpoint/,
  },
})) {
  test(`warned of: ${what}`, async () => {
    // The server itself has one form; the other is made of it.
    const both = (answer) => alter(answer);
    cast.issuer.alter = both;
    try {
      const found = await examine(cast.gateway, { options });
      assert.deepEqual([found.code, [...found.problems.keys()]], [0, []]);
      assert.deepEqual([...found.warnings.keys()], [warning]);
      const { text, fix } = found.warnings.get(warning);
      assert.match(`${text} ${fix}`, says);
    } finally {
      cast.issuer.alter = undefined;
    }
  });
}

test('named: a private authority signed the certificate of the issuer', async () => {
  const { certificate, key } = certificates();
  const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (_request, response) => response.writeHead(404).end());
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const edit = (more) => (text) => text.replace(issuerUrl(), `issuer = "https://127.0.0.1:${port}"${more}`);
  try {
    const without = await examine(cast.gateway, { edit: edit('') });
    assert.deepEqual([...without.problems.keys()], ['tls', 'outside.servers']);
    assert.match(without.problems.get('tls').fix, /name its certificate \(PEM\) in ca of the issuer/);
    const withIt = await examine(cast.gateway, { edit: edit(`\nca = ${JSON.stringify(certificates().ca)}`) });
    assert.deepEqual([...withIt.problems.keys()], ['metadata.none', 'outside.servers']);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

// ── The token ────────────────────────────────────────────────────────────────────────────────────

const forged = (token) => {
  const [header, payload, signature] = token.split('.');
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), sub: 'somebody-else' };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
};

for (const [what, { token, edit, problems, says }] of Object.entries({
  'a token for another resource': {
    token: () => cast.issuer.clientCredentials('https://other.example.com/mcp'), problems: ['token.aud'],
    says: /"https:\/\/other\.example\.com\/mcp": .*accepted: aud https:\/\/127/,
  },
  'a token without the scope': {
    token: () => cast.issuer.clientCredentials(cast.gateway.url, { scope: 'mcp:read' }), problems: ['authz.scope'], says: /lacks scopes of the route: mcp:tools/,
  },
  'an opaque token': {
    token: async () => (await requestToken(cast.issuer.url, { grant_type: 'client_credentials' }, 'svc-acme')).access_token,
    problems: ['token.opaque'], says: /hand out JWT access tokens/,
  },
  'an encrypted token': { token: () => 'a.b.c.d.e', problems: ['token.encrypted'], says: /unencrypted/ },
  'a changed token': {
    token: async () => forged(await cast.issuer.clientCredentials(cast.gateway.url)), problems: ['token.signature'], says: /was changed on its way/,
  },
  'a token of a type that is not accepted': {
    token: () => cast.issuer.clientCredentials(cast.gateway.url), edit: (text) => text.replace('insecure_http', 'token_types = ["jwt"]\ninsecure_http'),
    problems: ['token.typ'], says: /typ "at\+jwt": .*RFC 9068/,
  },
  'a token of a tenant that may not come in': {
    token: () => cast.issuer.clientCredentials(cast.gateway.url), edit: (text) => text.replace('tenant = "any"', 'tenant = { allow = ["globex"] }'),
    problems: ['authz.tenant'], says: /tenant "acme": .*accepted: tenant globex/,
  },
  'a token of another issuer': {
    token: () => cast.issuer.clientCredentials(cast.gateway.url), edit: (text) => text.replace(issuerUrl(), 'issuer = "https://login.invalid"'),
    problems: ['token.iss', 'dns', 'outside.servers'], says: /no issuer of this route.*accepted: iss https:\/\/login\.invalid/,
  },
})) {
  test(`named: ${what}`, async () => {
    const found = await examine(cast.gateway, { token: await token(), edit });
    assert.equal(found.code, 1);
    assert.deepEqual([...found.problems.keys()].sort(), problems.toSorted());
    const { text, fix } = found.problems.get(problems[0]);
    assert.match(`${text} ${fix}`, says);
  });
}

test('named: an expired token', async () => {
  const token = await cast.issuer.clientCredentials(cast.gateway.url);
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  await until('the token is over', () => Date.now() / 1000 > exp);
  const found = await examine(cast.gateway, { token, edit: (text) => text.replace('insecure_http', 'leeway = "0s"\ninsecure_http') });
  assert.deepEqual([...found.problems.keys()], ['token.exp']);
  assert.match(found.problems.get('token.exp').text, new RegExp(`^exp ${exp} \\(\\S+Z, \\d+ s ago\\): the access token expired$`));
});

test('named: a token under a key that was withdrawn', async () => {
  const token = await cast.issuer.clientCredentials(cast.gateway.url);
  cast.issuer.rotate({ keepOld: false });
  const found = await examine(cast.gateway, { token });
  assert.deepEqual([...found.problems.keys()], ['token.kid']);
});

// ── The gateway and the server behind it ─────────────────────────────────────────────────────────

test('named: the gateway is not there, or something else is', async () => {
  const port = await freePort();
  const gone = await examine(cast.gateway, { options: ['--connect', `127.0.0.1:${port}`] });
  assert.deepEqual([...gone.problems.keys()], ['connect']);
  const other = await examine(cast.gateway, { edit: (text) => text.replace(`${cast.gateway.url}"`, `${cast.gateway.origin}/other"`) });
  assert.deepEqual([...other.problems.keys()], ['outside.metadata', 'outside.challenge']);
});

test('the gateway is looked at behind its name, where --connect leads', async () => {
  const { port } = new URL(cast.gateway.origin);
  const edit = (text) => text.replace(`resource = "${cast.gateway.url}"`, 'resource = "https://localhost:1/mcp"').replace(/authorities = .*/, '');
  const found = await examine(cast.gateway, { edit, options: ['--connect', `127.0.0.1:${port}`] });
  // It was reached, and says that its own configuration has the other name.
  assert.deepEqual([...found.problems.keys()], ['outside.resource', 'outside.challenge']);
  assert.match(found.problems.get('outside.resource').text, /"https:\/\/127\.0\.0\.1:/);
});

async function withServer(answer, run) {
  const server = http.createServer(answer);
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const edit = (more = '') => (text) => text.replace(cast.upstream.url, `http://127.0.0.1:${port}/mcp`) + more;
  try {
    await run(edit);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

for (const [what, { answer, problem, says }] of Object.entries({
  'the path of the server is wrong': { answer: (_request, response) => response.writeHead(404).end(), problem: 'upstream.path', says: /most servers are at \/mcp/ },
  'the server asks for credentials': {
    answer: (_request, response) => response.writeHead(401).end(), problem: 'upstream.credentials', says: /upstream_headers/,
  },
  'the server is no MCP server': {
    answer: (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), problem: 'upstream.answer', says: /"text\/html"/,
  },
  'the server speaks HTTP+SSE': {
    answer: (request, response) => {
      if (request.method !== 'GET') response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /message?id=1\n\n');
    },
    problem: 'upstream.sse', says: /set upstream_messages/,
  },
  'the server refuses its own name': { answer: (_request, response) => response.writeHead(421).end(), problem: 'upstream.host', says: /DNS-rebinding/ },
})) {
  test(`named: ${what}`, () => withServer(answer, async (edit) => {
    const found = await examine(cast.gateway, { edit: edit() });
    assert.deepEqual([...found.problems.keys()], [problem]);
    assert.match(`${found.problems.get(problem).text} ${found.problems.get(problem).fix}`, says);
  }));
}

test('a credential of the gateway is tried, and its absence too', () => {
  const answer = (request, response) => {
    if (request.headers.authorization !== 'Bearer k3y') return response.writeHead(401).end();
    const result = { protocolVersion: '2025-11-25', serverInfo: { name: 'guarded' } };
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
  };
  return withServer(answer, async (edit) => {
    const right = await examine(cast.gateway, { edit: edit('upstream_headers = { authorization = "Bearer k3y" }\n') });
    assert.deepEqual([right.code, [...right.problems.keys()]], [0, []]);
    assert.equal(right.findings.find((one) => one.code === 'upstream.open').level, 'ok');
    const wrong = await examine(cast.gateway, { edit: edit('upstream_headers = { authorization = "Bearer other" }\n') });
    assert.deepEqual([...wrong.problems.keys()], ['upstream.credentials']);
    assert.ok(!JSON.stringify([right, wrong]).includes('k3y'), 'the credential is printed');
  });
});
