// What the upstream learns: who calls, from the gateway alone, and nothing of the client's credentials.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credentials } from '../clients/credentials.mjs';
import { connect } from '../clients/typescript.mjs';
import { call } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startFastmcp,
  routes: ({ upstream }) => [{ name: 'fastmcp', upstream: upstream.url }],
});

test('the upstream sees who calls and never the token', async () => {
  const { client, credentials } = await connect(cast.gateway.url, { credentials: new Credentials({ login: 'bob@acme' }) });
  try {
    const fields = JSON.parse(await call(client, 'headers'));
    assert.deepEqual(values(fields, 'x-auth-subject'), ['bob@acme']);
    assert.deepEqual(values(fields, 'x-auth-client'), [credentials.information.client_id]);
    assert.deepEqual(values(fields, 'x-auth-tenant'), ['acme']);
    assert.deepEqual(values(fields, 'authorization'), []);
    assert.deepEqual(values(fields, 'host'), [new URL(cast.upstream.url).host]);
    const [, , signature] = credentials.saved.access_token.split('.');
    assert.ok(!JSON.stringify(fields).includes(signature), 'the token is somewhere in the fields');
  } finally {
    await client.close();
  }
});

test('a client cannot say who it is', async () => {
  const forged = {
    'X-Auth-Subject': 'root', 'x-auth-tenant': 'globex', X_Auth_Subject: 'root', 'x-auth_subject': 'root',
    'X-Auth-Email': 'root@example.com', cookie: 'session=1', 'x-forwarded-for': '203.0.113.9',
  };
  const forging = (url, init) => fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...forged } });
  const { client } = await connect(cast.gateway.url, { fetch: forging });
  try {
    const fields = JSON.parse(await call(client, 'headers'));
    const mine = fields.filter(([name]) => /^x[-_]auth[-_]/i.test(name));
    assert.deepEqual(values(mine, 'x-auth-subject'), ['alice@acme']);
    assert.deepEqual(values(mine, 'x-auth-tenant'), ['acme']);
    assert.deepEqual(mine.filter(([name]) => name.includes('_') || name === 'x-auth-email'), []);
    assert.ok(!JSON.stringify(fields).includes('root'), JSON.stringify(fields));
    assert.deepEqual(values(fields, 'cookie'), []);
    assert.ok(!JSON.stringify(fields).includes('203.0.113.9'), 'a forged address went on');
  } finally {
    await client.close();
  }
});

const values = (fields, name) => fields.filter(([field]) => field === name).map(([, value]) => value);
