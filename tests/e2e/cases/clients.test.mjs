// Every client logs in through the gateway by itself, lists the tools of server-everything, and calls one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as inspector from '../clients/inspector.mjs';
import * as python from '../clients/python.mjs';
import * as remote from '../clients/remote.mjs';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { call } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [{ name: 'everything', upstream: upstream.url }],
});
const args = { a: 2, b: 3 };
const sum = /sum of 2 and 3 is 5/;
const named = (tools, name) => tools.some((tool) => tool.name === name);

for (const [name, { connect }] of Object.entries({ 'TypeScript 2': typescript, 'TypeScript 1': typescriptV1 })) {
  test(`${name} logs in, lists and calls`, async () => {
    const { client, credentials } = await connect(cast.gateway.url);
    try {
      assert.equal(credentials.logins, 1);
      assert.equal(credentials.authorizationUrl.searchParams.get('resource'), cast.gateway.url);
      assert.ok(named((await client.listTools()).tools, 'get-sum'));
      assert.match(await call(client, 'get-sum', args), sum);
    } finally {
      await client.close();
    }
  });
}

test('Python logs in, lists and calls', async () => {
  const { logins, tools, result } = await python.listAndCall(cast.gateway.url, 'get-sum', args);
  assert.equal(logins, 1);
  assert.ok(tools.includes('get-sum'));
  assert.match(result.content[0].text, sum);
});

test('mcp-remote logs in, lists and calls', async () => {
  const { client, close } = await remote.connect(cast.gateway.url);
  try {
    assert.ok(named((await client.listTools()).tools, 'get-sum'));
    assert.match(await call(client, 'get-sum', args), sum);
  } finally {
    await close();
  }
});

test('the Inspector logs in, lists and calls', async () => {
  const listed = await inspector.inspect(cast.gateway.url, ['--method', 'tools/list']);
  assert.ok(named(listed.tools, 'get-sum'));
  const request = ['--method', 'tools/call', '--tool-name', 'get-sum', '--tool-arg', 'a=2', 'b=3'];
  const result = await inspector.inspect(cast.gateway.url, request);
  assert.match(result.content[0].text, sum);
});
