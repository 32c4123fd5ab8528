// A token that is too weak for one tool: the client is told what to ask for, and asks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InsufficientScopeError, UnauthorizedError } from '@modelcontextprotocol/client';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { call, post, postModern } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const NEEDED = 'mcp:tools mcp:write';

const cast = world({
  start: startFastmcp,
  routes: ({ upstream }) => [{
    name: 'guarded',
    upstream: upstream.url,
    policy: {
      default: 'deny',
      rules: [
        { methods: ['initialize', 'ping', 'server/discover', 'notifications/*', '*/list'] },
        { tools: ['headers'], scopes: ['mcp:write'] },
        { tools: ['delete_*'], deny: true },
        { tools: ['*'] },
      ],
    },
  }],
});

test('a missing scope makes the client ask for it and go on', async () => {
  const { client, transport, credentials } = await typescript.connect(cast.gateway.url);
  try {
    assert.equal(claims(credentials.saved.access_token).scope, 'mcp:tools');
    assert.equal(await call(client, 'add', { a: 1, b: 1 }), '2');
    await assert.rejects(call(client, 'headers'), UnauthorizedError);
    assert.equal(credentials.logins, 2);
    await transport.finishAuth(credentials.callback.searchParams);
    assert.deepEqual(claims(credentials.saved.access_token).scope.split(' ').sort(), NEEDED.split(' '));
    assert.match(await call(client, 'headers'), /x-auth-subject/);
    assert.equal(credentials.logins, 2);
  } finally {
    await client.close();
  }
});

test('a client that cannot ask for more says what is missing', async () => {
  const token = await cast.issuer.clientCredentials(cast.gateway.url);
  const { client } = await typescript.connect(cast.gateway.url, { credentials: { token: async () => token } });
  try {
    await assert.rejects(call(client, 'headers'), (error) => {
      assert.ok(error instanceof InsufficientScopeError, String(error));
      assert.equal(error.requiredScope, NEEDED);
      assert.match(error.message, /scope/i);
      return true;
    });
    assert.equal(await call(client, 'add', { a: 1, b: 1 }), '2');
  } finally {
    await client.close();
  }
});

test('an older client that gives up says why', async () => {
  const { client } = await typescriptV1.connect(cast.gateway.url);
  try {
    await assert.rejects(call(client, 'headers'), /403|scope|unauthorized/i);
    assert.equal(await call(client, 'add', { a: 1, b: 1 }), '2');
  } finally {
    await client.close();
  }
});

for (const [era, send] of Object.entries({ legacy: post, modern: postModern })) {
  const callTool = async (name, scope) => {
    const token = await cast.issuer.clientCredentials(cast.gateway.url, { scope });
    return send(cast.gateway.url, { token, method: 'tools/call', params: { name, arguments: {} }, id: `${era} call` });
  };

  test(`a missing scope is answered with all that the call needs (${era})`, async () => {
    const refusal = await callTool('headers', 'mcp:tools');
    assert.equal(refusal.status, 403);
    const challenge = refusal.headers.get('www-authenticate');
    assert.match(challenge, /^Bearer error="insufficient_scope"/);
    assert.ok(challenge.includes(`scope="${NEEDED}"`), challenge);
    const document = `${cast.gateway.origin}/.well-known/oauth-protected-resource/mcp`;
    assert.ok(challenge.includes(`resource_metadata="${document}"`), challenge);
    await assertError(refusal, `${era} call`, 'insufficient_scope');
  });

  test(`what no token would open is forbidden without a challenge (${era})`, async () => {
    const refusal = await callTool('delete_all', 'mcp:tools mcp:write mcp:admin');
    assert.equal(refusal.status, 403);
    assert.equal(refusal.headers.get('www-authenticate'), null);
    await assertError(refusal, `${era} call`, 'forbidden');
  });
}

async function assertError(refusal, id, code) {
  assert.match(refusal.headers.get('content-type'), /^application\/json/);
  const body = await refusal.json();
  assert.equal(body.jsonrpc, '2.0');
  assert.equal(body.id, id);
  assert.ok(Number.isInteger(body.error.code), JSON.stringify(body));
  assert.ok(body.error.message);
  assert.equal(body.error.data.error, code);
  assert.ok(body.error.data.error_description);
  assert.ok(body.error.data.request_id);
}

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
