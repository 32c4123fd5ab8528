// A token that runs out: the client gets another by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../clients/typescript.mjs';
import { call } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  issuer: { tokenLifetime: 3 },
  start: startFastmcp,
  routes: ({ upstream }) => [{ name: 'fastmcp', upstream: upstream.url }],
  gateway: { issuerKeys: { leeway: '0s' } },
});

test('an expired token is refreshed without another login', async () => {
  const { client, credentials } = await connect(cast.gateway.url);
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

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
