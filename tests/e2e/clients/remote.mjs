// npm `mcp-remote`: a client that speaks standard input and output to the host and does the login by itself.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { certificates } from '../support/certificates.mjs';
import { freePort } from '../support/ports.mjs';
import { browserCommand, here } from '../support/places.mjs';

/** Gives a client that is connected through mcp-remote; closing it ends mcp-remote. */
export async function connect(url) {
  const home = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-remote-'));
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [here('node_modules/mcp-remote/dist/proxy.js'), url, String(await freePort())],
    env: {
      PATH: process.env.PATH,
      HOME: home,
      MCP_REMOTE_CONFIG_DIR: home,
      BROWSER: browserCommand(home),
      NODE_EXTRA_CA_CERTS: certificates().ca,
    },
    stderr: 'pipe',
  });
  let log = '';
  transport.stderr.on('data', (text) => { log += text; });
  const client = new Client({ name: 'e2e', version: '1.0.0' });
  const remove = () => rmSync(home, { recursive: true, force: true });
  try {
    await client.connect(transport, { timeout: 30_000 });
  } catch (error) {
    await client.close();
    remove();
    throw new Error(`${error.message}\n${log}`);
  }
  return { client, close: async () => { await client.close(); remove(); } };
}
