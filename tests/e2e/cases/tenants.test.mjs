// Two tenants at one gateway: each at its own address, neither at the other's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credentials } from '../clients/credentials.mjs';
import { connect } from '../clients/typescript.mjs';
import { call, post } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startFastmcp,
  routes: ({ upstream }) => [
    { name: 'each', path: '/{tenant}/mcp', upstream: upstream.url, tenant: { from: 'resource' } },
    { name: 'one', path: '/only', upstream: upstream.url, tenant: { allow: ['acme'] } },
  ],
});
const resource = (tenant) => `${cast.gateway.origin}/${tenant}/mcp`;

for (const tenant of ['acme', 'globex']) {
  test(`a user of ${tenant} works at the address of ${tenant}`, async () => {
    const login = `carol@${tenant}`;
    const { client } = await connect(resource(tenant), { credentials: new Credentials({ login }) });
    try {
      const fields = JSON.parse(await call(client, 'headers'));
      const seen = Object.fromEntries(fields);
      assert.equal(seen['x-auth-tenant'], tenant);
      assert.equal(seen['x-auth-subject'], login);
    } finally {
      await client.close();
    }
  });
}

test('a token for the address of another tenant is refused', async () => {
  const token = await cast.issuer.clientCredentials(resource('acme'), { client: 'svc-acme' });
  const refusal = await post(resource('globex'), { token });
  assert.equal(refusal.status, 401);
  assert.match(refusal.headers.get('www-authenticate'), /error="invalid_token"/);
});

test('a foreign tenant is refused even with a token for the right address', async () => {
  const token = await cast.issuer.clientCredentials(resource('globex'), { client: 'svc-acme' });
  const refusal = await post(resource('globex'), { token });
  assert.equal(refusal.status, 403);
  assert.doesNotMatch(refusal.headers.get('www-authenticate') ?? '', /insufficient_scope/);
});

test('a route for one tenant refuses another', async () => {
  const only = `${cast.gateway.origin}/only`;
  const refused = await cast.issuer.clientCredentials(only, { client: 'svc-globex' });
  assert.equal((await post(only, { token: refused })).status, 403);
  const welcome = await cast.issuer.clientCredentials(only, { client: 'svc-acme' });
  assert.equal((await post(only, { token: welcome, method: 'initialize', params: INITIALIZE })).status, 200);
});

const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1.0.0' } };
