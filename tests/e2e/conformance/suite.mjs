// Runs the official conformance suite, and gives what it says of each of its checks.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { here } from '../support/places.mjs';
import { Process } from '../support/process.mjs';

const SUITE = here('node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** Checks a server against what `revision` requires: from check to `SUCCESS`, `FAILURE`, `WARNING` or `SKIPPED`. */
export async function checkServer(url, revision) {
  const { checks } = await run(['server', '--url', url, '--requirements', revision, '--timeout', '15000']);
  return checks;
}

/** Checks a client: the suite starts `command` with the address of a server that watches it. */
export async function checkClient(command, scenario, revision, env) {
  const options = ['--command', command, '--scenario', scenario, '--spec-version', revision, '--timeout', '30000'];
  const { checks, code, output } = await run(['client', ...options], env);
  checks.set('the client ends well', code === 0 ? 'SUCCESS' : 'FAILURE');
  return { checks, output };
}

async function run(command, env = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-conformance-'));
  try {
    const suite = new Process('conformance', process.execPath, [SUITE, ...command, '--output-dir', folder], {
      env: { ...process.env, ...env },
    });
    suite.child.stdin.end();
    const { code } = await suite.ended;
    const checks = read(folder);
    if (checks.size === 0) throw new Error(`the suite checked nothing:\n${suite.output}`);
    return { checks, code, output: suite.output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(folder) {
  const checks = new Map();
  for (const scenario of readdirSync(folder).sort()) {
    const name = /^(?:server-)?(.*)-\d{4}-\d\d-\d\dT/.exec(scenario)?.[1] ?? scenario;
    for (const check of JSON.parse(readFileSync(path.join(folder, scenario, 'checks.json')))) {
      if (check.status === 'INFO') continue;
      checks.set(unused(checks, `${name}: ${check.id}, ${check.name}`), check.status);
    }
  }
  return checks;
}

/** Some checks are made several times under one name. */
function unused(checks, name) {
  for (let time = 1; ; time += 1) {
    const numbered = time === 1 ? name : `${name} (${time})`;
    if (!checks.has(numbered)) return numbered;
  }
}
