// Tokens that run out and tokens that are too weak: the client mends both by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../clients/typescript.mjs';
import { call } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';
import { UnauthorizedError } from '@modelcontextprotocol/client';

const cast = world({
  issuer: { tokenLifetime: 3 },
  start: startFastmcp,
  routes: ({ upstream }) => [
    { name: 'plain', path: '/plain', upstream: upstream.url },
    {
      name: 'guarded',
      path: '/guarded',
      upstream: upstream.url,
      policy: { default: 'allow', rules: [{ tools: ['headers'], scopes: ['mcp:tools', 'mcp:read'] }] },
    },
  ],
  gateway: { issuerKeys: { leeway: '0s' } },
});

test('an expired token is refreshed without another login', async () => {
  const { client, credentials } = await connect(`${cast.gateway.origin}/plain`);
  try {
    assert.equal(await call(client, 'add', { a: 1, b: 1 }), '2');
    const first = credentials.saved.access_token;
    await until('the token expired', () => claims(first).exp * 1000 < Date.now(), { every: 200 });
    assert.equal(await call(client, 'add', { a: 2, b: 2 }), '4');
    assert.notEqual(credentials.saved.access_token, first);
    assert.equal(credentials.logins, 1);
  } finally {
    await client.close();
  }
});

test('a missing scope makes the client ask for it and go on', async () => {
  const { client, transport, credentials } = await connect(`${cast.gateway.origin}/guarded`);
  try {
    assert.equal(claims(credentials.saved.access_token).scope, 'mcp:tools');
    assert.equal(await call(client, 'add', { a: 1, b: 1 }), '2');
    await assert.rejects(call(client, 'headers'), UnauthorizedError);
    assert.equal(credentials.logins, 2);
    await transport.finishAuth(credentials.callback.searchParams);
    assert.deepEqual(claims(credentials.saved.access_token).scope.split(' ').sort(), ['mcp:read', 'mcp:tools']);
    assert.match(await call(client, 'headers'), /x-auth-subject/);
  } finally {
    await client.close();
  }
});

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
