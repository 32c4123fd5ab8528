// O12: mixed load leaves nothing behind. Counted in requests, not in hours: what leaks with each of them shows here too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession, post } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const ROUNDS = 12;
const WARM = 4;
const MIB = 1024 * 1024;

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url }],
  gateway: { tables: '[listen.limits]\nfailures_per_address = 1000000\n' },
});

/** Served, refused, forged, streamed, left, ended. */
async function round() {
  const url = cast.gateway.url;
  const token = await cast.issuer.clientCredentials(url);
  const session = await openSession(url, token);
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
  const stream = new AbortController();
  const listening = await fetch(url, {
    headers: { ...headers, authorization: `Bearer ${token}`, accept: 'text/event-stream' }, signal: stream.signal,
  });
  assert.equal(listening.status, 200);
  const one = async (number) => {
    const asked = [
      { token, headers, method: 'tools/list' },
      { headers, method: 'tools/list' },
      { token: `${token.slice(0, -8)}AAAAAAAA`, headers },
      { token, headers: { ...headers, 'mcp-session-id': `foreign-${number}` } },
      { token, headers, method: 'tools/call', params: { name: 'echo', arguments: { message: 'x'.repeat(20_000) } } },
    ][number % 5];
    const answer = await post(url, asked);
    await answer.text();
    assert.equal(answer.status, [200, 401, 401, 404, 200][number % 5]);
  };
  for (let number = 0; number < 100; number += 10) await Promise.all(Array.from({ length: 10 }, (_, at) => one(number + at)));
  stream.abort();
  const ended = await fetch(url, { method: 'DELETE', headers: { ...headers, authorization: `Bearer ${token}` } });
  assert.ok(ended.ok, `DELETE: ${ended.status}`);
}

async function held() {
  const text = await (await fetch(`${cast.gateway.admin}/metrics`)).text();
  const read = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)[1]);
  return { memory: read('process_resident_memory_bytes'), files: read('process_open_fds'), streams: read('portcullis_requests_under_way') };
}

test('O12: memory, files and streams stay flat under mixed load', async () => {
  for (let count = 0; count < WARM; count += 1) await round();
  const before = await held();
  for (let count = 0; count < ROUNDS; count += 1) await round();
  const after = await until('what was opened is closed', async () => {
    const now = await held();
    return now.streams === 0 && now.files <= before.files + 5 && now;
  });
  const grown = (after.memory - before.memory) / MIB;
  assert.ok(grown < 8, `${grown.toFixed(1)} MiB more after ${ROUNDS * 100} requests`);
});
