// What a caller may not use is not in its lists; what remains is as the server said it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from '../clients/inspector.mjs';
import { message, openSession, post, postModern } from '../support/mcp.mjs';
import { startEverything, startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

// The upstream of each route, and the tools that only `mcp:admin` opens.
const HIDDEN = { streams: ['delete_all'], json: ['delete_all'], everything: ['get-env', 'get-tiny-image'] };
const ROUTES = Object.keys(HIDDEN);

const cast = world({
  start: async () => {
    const starting = [startFastmcp(), startFastmcp({ json: true }), startEverything()];
    const [streams, json, everything] = await Promise.all(starting);
    const all = { streams, json, everything };
    return { ...all, stop: () => Promise.all(Object.values(all).map((one) => one.stop())) };
  },
  routes: ({ upstream }) => ROUTES.map((name) => ({
    name,
    path: `/${name}/mcp`, // The Inspector tells transports apart by how an address ends.
    upstream: upstream[name].url,
    policy: { default: 'allow', rules: [{ tools: ['delete_*', 'get-env', 'get-tiny-*'], scopes: ['mcp:admin'] }] },
  })),
});
const url = (name) => `${cast.gateway.origin}/${name}/mcp`;
const token = (name, scope) => cast.issuer.clientCredentials(url(name), { scope });

for (const name of ROUTES) {
  test(`the Inspector sees what its token opens, unchanged (${name})`, async () => {
    const list = async (place, ...more) => (await inspect(place, ['--method', 'tools/list', ...more])).tools;
    const through = async (scope) => list(url(name), '--header', `Authorization: Bearer ${await token(name, scope)}`);
    const [direct, weak, strong] = await Promise.all([
      list(cast.upstream[name].url), through('mcp:tools'), through('mcp:tools mcp:admin'),
    ]);
    for (const hidden of HIDDEN[name]) assert.ok(direct.some((tool) => tool.name === hidden), hidden);
    assert.deepEqual(text(strong), text(direct));
    assert.deepEqual(text(weak), text(direct.filter((tool) => !HIDDEN[name].includes(tool.name))));
    assert.ok(weak.length > 1);
  });

  test(`what is not in the list cannot be called either (${name})`, async () => {
    for (const hidden of HIDDEN[name]) {
      const refusal = await post(url(name), {
        token: await token(name, 'mcp:tools'), method: 'tools/call', params: { name: hidden, arguments: {} },
      });
      assert.equal(refusal.status, 403);
      assert.match(refusal.headers.get('www-authenticate'), /scope="mcp:tools mcp:admin"/);
    }
  });
}

for (const name of ['streams', 'json']) {
  test(`a list that depends on the caller is not for shared caches (${name})`, async () => {
    for (const [scope, hidden] of [['mcp:tools', true], ['mcp:tools mcp:admin', false]]) {
      const { result } = await message(await postModern(url(name), { token: await token(name, scope) }));
      assert.equal(result.tools.some((tool) => tool.name === 'delete_all'), !hidden);
      assert.equal(result.cacheScope, 'private');
      const { result: direct } = await message(await postModern(cast.upstream[name].url));
      const { tools: _shorter, cacheScope: _private, ...rest } = result;
      const { tools: _whole, cacheScope: _any, ...directRest } = direct;
      assert.deepEqual(rest, directRest);
    }
  });
}

const ANSWERS = { streams: 'text/event-stream', json: 'application/json', everything: 'text/event-stream' };
for (const [name, type] of Object.entries(ANSWERS)) {
  test(`one session lists what each of its owner's tokens opens (${name})`, async () => {
    const session = { 'mcp-session-id': await openSession(url(name), await token(name, 'mcp:tools')) };
    const names = async (scope) => {
      const answer = await post(url(name), { token: await token(name, scope), headers: session });
      assert.ok(answer.headers.get('content-type').startsWith(type), answer.headers.get('content-type'));
      return (await message(answer)).result.tools.map((tool) => tool.name);
    };
    const [weak, strong] = [await names('mcp:tools'), await names('mcp:tools mcp:admin')];
    assert.deepEqual(weak, strong.filter((tool) => !HIDDEN[name].includes(tool)));
    assert.equal(strong.length - weak.length, HIDDEN[name].length);
  });
}

/** With names, order and spelling of everything. */
const text = (tools) => tools.map((tool) => JSON.stringify(tool));
