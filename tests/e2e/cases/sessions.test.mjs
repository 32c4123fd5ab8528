// A legacy session belongs to who opened it: to nobody else, and for longer than one token and one gateway process.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { events } from '../support/events.mjs';
import { openSession, post } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url }],
  gateway: { sessions: { keys: [randomBytes(32).toString('base64')] } },
});
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const mine = () => cast.issuer.clientCredentials(cast.gateway.url);
const theirs = () => cast.issuer.clientCredentials(cast.gateway.url, { client: 'svc-globex' });
const within = (session) => ({ 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' });

/** GET, which listens, or DELETE, which ends a session. */
async function send(method, token, headers) {
  const abort = new AbortController();
  const response = await fetch(cast.gateway.url, {
    method,
    headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, ...headers },
    signal: AbortSignal.any([abort.signal, AbortSignal.timeout(20_000)]),
  });
  return { response, close: () => abort.abort() };
}

async function status(method, token, headers) {
  const { response, close } = await send(method, token, headers);
  close();
  return response.status;
}

async function assertWorks(session, token) {
  const answer = await post(cast.gateway.url, { token, headers: within(session) });
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /get-sum/);
}

test('the client never sees the session id of the upstream', async () => {
  assert.match(await openSession(cast.upstream.url), UUID);
  const session = await openSession(cast.gateway.url, await mine());
  assert.doesNotMatch(session, UUID);
  assert.match(session, /^[\x21-\x7e]+$/);
  const direct = await post(cast.upstream.url, { headers: within(session) });
  assert.ok(!direct.ok, 'it opened the session there');
});

test('an id that the gateway did not give opens nothing', async () => {
  const bare = await openSession(cast.upstream.url);
  const session = await openSession(cast.gateway.url, await mine());
  const changed = session.slice(0, -1) + (session.endsWith('A') ? 'B' : 'A');
  for (const wrong of [bare, changed, session.slice(1), `${session}A`]) {
    assert.equal((await post(cast.gateway.url, { token: await mine(), headers: within(wrong) })).status, 404);
    assert.equal(await status('GET', await mine(), within(wrong)), 404);
    assert.equal(await status('DELETE', await mine(), within(wrong)), 404);
  }
});

test('nobody else can use a session: not to call, not to listen, not to resume, not to end it', async () => {
  const session = await openSession(cast.gateway.url, await mine());
  const headers = within(session);
  assert.equal((await post(cast.gateway.url, { token: await theirs(), headers })).status, 404);
  assert.equal(await status('GET', await theirs(), headers), 404);
  assert.equal(await status('GET', await theirs(), { ...headers, 'last-event-id': '1' }), 404);
  assert.equal(await status('DELETE', await theirs(), headers), 404);
  assert.equal((await post(cast.gateway.url, { headers })).status, 401);
  await assertWorks(session, await mine());
});

test('a session goes on under a new token of the same principal', async () => {
  const session = await openSession(cast.gateway.url, await mine());
  await assertWorks(session, await mine());
});

test('its owner comes back to a broken stream, and nobody else', async () => {
  const session = await openSession(cast.gateway.url, await mine());
  const params = { name: 'trigger-long-running-operation', arguments: { duration: 2, steps: 4 } };
  const calling = await post(cast.gateway.url, {
    token: await mine(), method: 'tools/call', params, id: 'slow', headers: within(session),
  });
  assert.equal(calling.status, 200);
  let last;
  for await (const event of events(calling.body)) {
    last = event.id;
    if (last) break; // Which leaves the stream.
  }
  assert.ok(last, 'the upstream numbers its events');

  const headers = { ...within(session), 'last-event-id': last };
  assert.equal(await status('GET', await theirs(), headers), 404);
  const token = await mine();
  // This server sends again what it has by then, and nothing more.
  await until('the answer is sent again', async () => {
    const seen = await replayed(token, headers);
    return seen.some((sent) => sent.id === 'slow' && sent.result);
  });
});

/** The messages that come within a moment on a stream that is opened again. */
async function replayed(token, headers) {
  const { response, close } = await send('GET', token, headers);
  assert.equal(response.status, 200);
  const moment = setTimeout(close, 500);
  const seen = [];
  try {
    for await (const { data } of events(response.body)) if (data) seen.push(JSON.parse(data));
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  } finally {
    clearTimeout(moment);
  }
  return seen;
}

test('an ended session answers 404', async () => {
  const session = await openSession(cast.gateway.url, await mine());
  const ended = await status('DELETE', await mine(), within(session));
  assert.ok(ended === 200 || ended === 204, String(ended));
  assert.equal((await post(cast.gateway.url, { token: await mine(), headers: within(session) })).status, 404);
  assert.equal(await status('GET', await mine(), within(session)), 404);
  assert.equal(await status('DELETE', await mine(), within(session)), 404);
});

test('a session goes on when the gateway is started again with the same key', async () => {
  const session = await openSession(cast.gateway.url, await mine());
  await cast.gateway.restart();
  await assertWorks(session, await mine());
  assert.equal((await post(cast.gateway.url, { token: await theirs(), headers: within(session) })).status, 404);
});
