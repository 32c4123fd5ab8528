// The oldest transport, HTTP+SSE: a stream that names the address for messages, and messages posted there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectSse } from '../clients/typescript-v1.mjs';
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
  }],
});
const url = () => `${cast.gateway.origin}/sse`;

test('a legacy SSE client logs in, lists and calls', async () => {
  const { client, credentials } = await connectSse(url());
  try {
    assert.equal(credentials.logins, 1);
    assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'get-sum'));
    assert.match(await call(client, 'get-sum', { a: 2, b: 3 }), /is 5/);
  } finally {
    await client.close();
  }
});

test('the address for messages is on the gateway and hides the upstream', async () => {
  const token = await cast.issuer.clientCredentials(url());
  const { endpoint, close } = await openStream(token);
  try {
    assert.equal(new URL(endpoint, url()).origin, cast.gateway.origin);
    assert.ok(!endpoint.includes(String(cast.upstream.port)), endpoint);
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
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!/\n\n|\r\n\r\n/.test(text)) text += (await reader.read()).value;
  const [, endpoint] = /^event: ?endpoint\r?\ndata: ?(.*)$/m.exec(text);
  return { endpoint: endpoint.trim(), close: () => abort.abort() };
}
