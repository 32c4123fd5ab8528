// Both eras on one route, under one policy: what a client shows of a tool that is denied.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as python from '../clients/python.mjs';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { call } from '../support/mcp.mjs';
import { startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startFastmcp,
  routes: ({ upstream }) => [{
    name: 'dual',
    upstream: upstream.url,
    policy: { default: 'allow', rules: [{ tools: ['delete_*'], deny: true }] },
  }],
});

test('a modern client shows the refusal and stays modern', async () => {
  const { watching, methods } = watch();
  const { client } = await typescript.connect(cast.gateway.url, { fetch: watching });
  try {
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    await assertDenied(call(client, 'delete_all'));
    assert.equal(await call(client, 'add', { a: 2, b: 3 }), '5');
    assert.ok(methods.includes('tools/call'), String(methods));
    assert.ok(!methods.includes('initialize'), String(methods));
  } finally {
    await client.close();
  }
});

for (const [name, connect] of Object.entries({
  'TypeScript 2': (url) => typescript.connect(url, { mode: 'legacy' }),
  'TypeScript 1': typescriptV1.connect,
})) {
  test(`a legacy client (${name}) shows the refusal and keeps its session`, async () => {
    const { client, transport } = await connect(cast.gateway.url);
    try {
      const session = transport.sessionId;
      assert.ok(session);
      await assertDenied(call(client, 'delete_all'));
      assert.equal(await call(client, 'add', { a: 2, b: 3 }), '5');
      await transport.terminateSession();
    } finally {
      await client.close();
    }
  });
}

for (const mode of ['auto', 'legacy']) {
  test(`Python (${mode}) shows the refusal, and fails at the denied tool alone`, async () => {
    const { tools, error } = await python.listAndCall(cast.gateway.url, 'delete_all', {}, { mode });
    assert.ok(!tools.includes('delete_all'), String(tools));
    assert.ok(error?.message);
    assert.equal(error.data.error, 'forbidden');
    const { result } = await python.listAndCall(cast.gateway.url, 'add', { a: 2, b: 3 }, { mode });
    assert.equal(result.content[0].text, '5');
  });
}

/** The client's error must hold the gateway's own words. */
function assertDenied(calling) {
  return assert.rejects(calling, (error) => {
    assert.equal(error.status ?? error.code, 403, String(error));
    const { error: refusal } = JSON.parse(/\{.*\}/s.exec(error.message)[0]);
    assert.equal(refusal.data.error, 'forbidden');
    assert.ok(error.message.includes(refusal.message));
    return true;
  });
}

/** A `fetch` that remembers which JSON-RPC methods it was asked to send. */
function watch() {
  const methods = [];
  const watching = (url, init) => {
    const sent = typeof init?.body === 'string' && /"method":"([^"]+)"/.exec(init.body);
    if (sent) methods.push(sent[1]);
    return fetch(url, init);
  };
  return { watching, methods };
}
