// Every client against a server that protects itself: proves the clients and the issuer, without a gateway.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as python from '../clients/python.mjs';
import * as remote from '../clients/remote.mjs';
import { inspect } from '../clients/inspector.mjs';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { startIssuer } from '../support/issuer.mjs';
import { startProtected } from '../support/upstreams.mjs';

let issuer;
let server;
before(async () => {
  issuer = await startIssuer();
  server = await startProtected(issuer);
});
after(async () => {
  await server?.stop();
  await issuer?.stop();
});

for (const [name, { connect }] of Object.entries({ 'TypeScript 2': typescript, 'TypeScript 1': typescriptV1 })) {
  test(`${name} logs in, lists and calls`, async () => {
    const { client, credentials } = await connect(server.url);
    try {
      assert.equal(credentials.logins, 1);
      assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'add'));
      const result = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
      assert.equal(result.content[0].text, '5');
    } finally {
      await client.close();
    }
  });
}

test('Python logs in, lists and calls', async () => {
  const { logins, tools, result } = await python.listAndCall(server.url, 'add', { a: 2, b: 3 });
  assert.equal(logins, 1);
  assert.ok(tools.includes('add'));
  assert.equal(result.content[0].text, '5');
});

test('mcp-remote logs in, lists and calls', async () => {
  const { client, close } = await remote.connect(server.url);
  try {
    assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'add'));
    const result = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
    assert.equal(result.content[0].text, '5');
  } finally {
    await close();
  }
});

test('the Inspector logs in, lists and calls', async () => {
  const listed = await inspect(server.url, ['--method', 'tools/list']);
  assert.ok(listed.tools.some((tool) => tool.name === 'add'));
  const result = await inspect(server.url, ['--method', 'tools/call', '--tool-name', 'add', '--tool-arg', 'a=2', 'b=3']);
  assert.equal(result.content[0].text, '5');
});
