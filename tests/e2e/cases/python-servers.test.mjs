// Upstreams in Python, which speak both eras; clients agree with them on the newest revision through the gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as python from '../clients/python.mjs';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { call } from '../support/mcp.mjs';
import { startFastmcp, startPythonMcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: async () => {
    const [fastmcp, official] = await Promise.all([startFastmcp(), startPythonMcp()]);
    return { fastmcp, official, stop: () => Promise.all([fastmcp.stop(), official.stop()]) };
  },
  routes: ({ upstream }) => [
    { name: 'fastmcp', path: '/fastmcp', upstream: upstream.fastmcp.url },
    { name: 'official', path: '/official', upstream: upstream.official.url },
  ],
});

for (const place of ['fastmcp', 'official']) {
  test(`TypeScript 2 speaks the newest revision with ${place}`, async () => {
    const { client, transport } = await typescript.connect(`${cast.gateway.origin}/${place}`);
    try {
      assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
      assert.equal(transport.sessionId, undefined);
      assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'add'));
      assert.equal(await call(client, 'add', { a: 2, b: 3 }), '5');
    } finally {
      await client.close();
    }
  });

  test(`TypeScript 1 holds a session with ${place}`, async () => {
    const { client, transport } = await typescriptV1.connect(`${cast.gateway.origin}/${place}`);
    try {
      assert.ok(transport.sessionId);
      assert.equal(await call(client, 'add', { a: 2, b: 3 }), '5');
      await transport.terminateSession();
    } finally {
      await client.close();
    }
  });

  for (const mode of ['auto', 'legacy']) {
    test(`Python (${mode}) logs in, lists and calls at ${place}`, async () => {
      const { tools, result } = await python.listAndCall(`${cast.gateway.origin}/${place}`, 'add', { a: 2, b: 3 }, { mode });
      assert.ok(tools.includes('add'));
      assert.equal(result.content[0].text, '5');
    });
  }
}
