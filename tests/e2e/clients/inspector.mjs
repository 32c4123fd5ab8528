// The Inspector's command line, one process per request, with its own login each time.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { certificates } from '../support/certificates.mjs';
import { Process } from '../support/process.mjs';
import { browserCommand, here } from '../support/places.mjs';

/** Runs one request such as `['--method', 'tools/list']` and gives the parsed answer. */
export async function inspect(url, request) {
  const home = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-inspector-'));
  try {
    const inspector = new Process('inspector', process.execPath,
      [here('node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js'), '--cli', url, ...request],
      {
        env: {
          PATH: process.env.PATH,
          HOME: home,
          MCP_AUTO_OPEN_ENABLED: 'true',
          BROWSER: browserCommand(home),
          NODE_EXTRA_CA_CERTS: certificates().ca,
        },
      });
    inspector.child.stdin.end();
    return JSON.parse(await inspector.finish());
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
