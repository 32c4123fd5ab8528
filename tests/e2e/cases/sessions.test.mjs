// A legacy session outlives a refresh of the token that opened it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession, post } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url }],
});

test('a session goes on under a new token of the same principal', async () => {
  const { url } = cast.gateway;
  const headers = { 'mcp-session-id': await openSession(url, await cast.issuer.clientCredentials(url)) };
  const answer = await post(url, { token: await cast.issuer.clientCredentials(url), headers });
  assert.equal(answer.status, 200);
});
