// A token that runs out: the client gets another by itself, and what it held open ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../clients/typescript.mjs';
import { call, openSession } from '../support/mcp.mjs';
import { startConformance } from '../support/upstreams.mjs';
import { bounded, until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  issuer: { tokenLifetime: 5 },
  start: startConformance,
  routes: ({ upstream }) => [{ name: 'conformance', upstream: upstream.url }],
  gateway: { issuerKeys: { leeway: '0s' } },
});

test('an expired token is refreshed without another login', async () => {
  const { client, credentials } = await connect(cast.gateway.url);
  try {
    await call(client, 'test_simple_text');
    const first = credentials.saved.access_token;
    await until('the token expired', () => claims(first).exp * 1000 < Date.now(), { every: 200 });
    await call(client, 'test_simple_text');
    assert.notEqual(credentials.saved.access_token, first);
    assert.equal(credentials.logins, 1);
  } finally {
    await client.close();
  }
});

test('a subscription ends with the token, and the client is told so', async () => {
  const { client, credentials } = await connect(cast.gateway.url);
  try {
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    await call(client, 'test_simple_text'); // Whatever the client wants to renew, it renews now.
    const changes = [];
    client.setNotificationHandler('notifications/tools/list_changed', (change) => { changes.push(change); });
    const subscription = await client.listen({ toolsListChanged: true });
    const { exp } = claims(credentials.saved.access_token);
    await call(client, 'test_trigger_tool_change');
    await until('the change arrives', () => changes.length > 0);
    assert.equal(await bounded('the end of the subscription', subscription.closed), 'graceful');
    assertSoonAfter(exp);
  } finally {
    await client.close();
  }
});

test('a stream of the legacy era ends with the token', async () => {
  const token = await cast.issuer.clientCredentials(cast.gateway.url);
  const session = await openSession(cast.gateway.url, token);
  const stream = await fetch(cast.gateway.url, {
    headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'mcp-session-id': session },
  });
  assert.equal(stream.status, 200);
  await bounded('the end of the stream', stream.text());
  assertSoonAfter(claims(token).exp);
});

/** A stream may go on for a while after its token ended, but not end before. */
function assertSoonAfter(exp) {
  const late = Date.now() / 1000 - exp;
  assert.ok(late >= 0 && late < 15, `the stream ended ${late} s after its token`);
}

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
