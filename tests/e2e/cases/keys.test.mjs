// The authorization server exchanges its signing key while sessions are open.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../clients/typescript-v1.mjs';
import { call } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

const COOL_DOWN = 1; // seconds in which an unknown key makes the gateway ask at most once

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url }],
  gateway: { issuerKeys: { key_cool_down: `${COOL_DOWN}s` } },
});

for (const [name, keepOld] of [['overlaps with', true], ['replaces', false]]) {
  test(`a session goes on and no call fails when a new key ${name} the old one`, async () => {
    const { client, credentials } = await connect(cast.gateway.url);
    const sum = async () => assert.match(await call(client, 'get-sum', { a: 2, b: 3 }), /is 5/);
    try {
      await sum();
      const before = keyOf(credentials.saved.access_token);
      const kid = cast.issuer.rotate({ keepOld });
      assert.notEqual(before, kid);
      if (keepOld) await sum();

      const { client_id, client_secret } = credentials.information;
      const registered = { client_id, client_secret };
      credentials.saved = await cast.issuer.refresh(registered, credentials.saved.refresh_token, cast.gateway.url);
      assert.equal(keyOf(credentials.saved.access_token), kid);
      const since = () => Date.now() - cast.issuer.keysFetched;
      await until('the gateway may ask for keys again', () => since() > COOL_DOWN * 1000);
      await Promise.all(Array.from({ length: 10 }, sum));
      assert.equal(credentials.logins, 1, 'nobody had to log in again');
    } finally {
      await client.close();
    }
  });
}

const keyOf = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
