// The oldest transport, HTTP+SSE: a stream that names the address for messages, and messages posted there.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import * as python from '../clients/python.mjs';
import { connectSse } from '../clients/typescript-v1.mjs';
import { events } from '../support/events.mjs';
import { call } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: () => startEverything('sse'),
  routes: ({ upstream }) => [{
    name: 'sse',
    path: '/sse',
    upstream: `${upstream.origin}/sse`,
    upstream_messages: `${upstream.origin}/message`,
    policy: { default: 'allow', rules: [{ tools: ['get-env'], scopes: ['mcp:admin'] }] },
  }],
});
const url = () => `${cast.gateway.origin}/sse`;

test('a legacy SSE client logs in, lists and calls', async () => {
  const { client, credentials } = await connectSse(url());
  try {
    assert.equal(credentials.logins, 1);
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.ok(names.includes('get-sum'), String(names));
    assert.ok(!names.includes('get-env'), String(names));
    assert.match(await call(client, 'get-sum', { a: 2, b: 3 }), /is 5/);
    await assert.rejects(call(client, 'get-env'), /403|scope|unauthorized/i);
    assert.match(await call(client, 'get-sum', { a: 3, b: 3 }), /is 6/);
  } finally {
    await client.close();
  }
});

test('a Python client logs in, lists and calls', async () => {
  const { logins, tools, result } = await python.listAndCall(url(), 'get-sum', { a: 2, b: 3 }, { mode: 'sse' });
  assert.equal(logins, 1);
  assert.ok(tools.includes('get-sum'), String(tools));
  assert.ok(!tools.includes('get-env'), String(tools));
  assert.match(result.content[0].text, /is 5/);
});

test('the address for messages is on the gateway and hides the upstream', async () => {
  const token = await cast.issuer.clientCredentials(url());
  const { endpoint, close } = await openStream(token);
  try {
    assert.equal(new URL(endpoint, url()).origin, cast.gateway.origin);
    assert.ok(!endpoint.includes(String(cast.upstream.port)), endpoint);
    assert.doesNotMatch(endpoint, /[0-9a-f]{8}-[0-9a-f]{4}-/, 'the session id of the upstream');
  } finally {
    close();
  }
});

test('a message without a token does not reach the stream', async () => {
  const token = await cast.issuer.clientCredentials(url());
  const { endpoint, close } = await openStream(token);
  try {
    const place = new URL(endpoint, url());
    assert.equal((await message(place)).status, 401);
    assert.equal((await message(place, token)).status, 202);
  } finally {
    close();
  }
});

test('a message with the token of another principal does not reach the stream', async () => {
  const { endpoint, close } = await openStream(await cast.issuer.clientCredentials(url()));
  try {
    const place = new URL(endpoint, url());
    const other = await cast.issuer.clientCredentials(url(), { client: 'svc-globex' });
    assert.equal((await message(place, other)).status, 404);
    const renewed = await cast.issuer.clientCredentials(url());
    assert.equal((await message(place, renewed)).status, 202);
  } finally {
    close();
  }
});

test('a message to a stream that nobody opened is refused', async () => {
  const token = await cast.issuer.clientCredentials(url());
  const { endpoint, close } = await openStream(token);
  try {
    const forged = new URL(endpoint, url());
    for (const [name, value] of forged.searchParams) forged.searchParams.set(name, `${value.slice(0, -1)}~`);
    assert.equal((await message(forged, token)).status, 404);
    assert.equal((await message(new URL(`?sessionId=${randomUUID()}`, new URL(endpoint, url())), token)).status, 404);
  } finally {
    close();
  }
});

function message(place, token) {
  return fetch(place, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    signal: AbortSignal.timeout(10_000),
  });
}

/** Opens the stream and reads its first event. */
async function openStream(token) {
  const abort = new AbortController();
  const response = await fetch(url(), {
    headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` },
    signal: abort.signal,
  });
  assert.equal(response.status, 200);
  const first = await events(response.body).next();
  assert.equal(first.value.event, 'endpoint');
  return { endpoint: first.value.data, close: () => abort.abort() };
}
