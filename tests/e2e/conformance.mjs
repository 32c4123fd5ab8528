// The official conformance suite against real servers, directly and through the gateway: what passes directly must
// pass through.
//
//   PORTCULLIS_BIN=target/release/portcullis node tests/e2e/conformance.mjs [--results FILE]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeCertificates } from './support/certificates.mjs';
import { here } from './support/places.mjs';
import { Process } from './support/process.mjs';
import { startBearerProxy } from './support/bearer.mjs';
import { startGateway } from './support/gateway.mjs';
import { startIssuer } from './support/issuer.mjs';
import { startConformance, startEverything, startFastmcp } from './support/upstreams.mjs';

const SUITE = here('node_modules/@modelcontextprotocol/conformance/dist/index.js');

const RUNS = [
  { name: 'server-everything', start: startEverything, revision: '2025-11-25' },
  { name: 'python mcp', start: startConformance, revision: '2025-11-25' },
  { name: 'python mcp', start: startConformance, revision: '2026-07-28' },
  { name: 'fastmcp', start: startFastmcp, revision: '2026-07-28' },
];

// What the gateway itself must get right, whatever the server behind it does.
const ALWAYS = ['dns-rebinding-protection', 'http-header-validation'];

if (!process.env.PORTCULLIS_E2E_CA) startAgain();
const issuer = await startIssuer();
const totals = { pass: 0, fail: 0 }; // checks
const runs = { pass: 0, fail: 0 };
for (const run of RUNS) await compare(run);
await issuer.stop();
console.log(`\n${totals.pass} checks pass through, ${totals.fail} do not`);
const results = process.argv[process.argv.indexOf('--results') + 1];
if (process.argv.includes('--results')) writeFileSync(results, `# pass ${runs.pass}\n# fail ${runs.fail}\n`);
process.exitCode = totals.fail > 0 || totals.pass === 0 ? 1 : 0;

async function compare({ name, start, revision }) {
  const upstream = await start();
  const gateway = await startGateway(issuer, [{ name: 'conformance', upstream: upstream.url, origins: ['self'] }]);
  const proxy = await startBearerProxy(gateway, () => issuer.clientCredentials(gateway.url));
  try {
    const direct = await conformance(upstream.url, revision);
    const through = await conformance(proxy.url, revision);
    report(`${name}, ${revision}`, direct, through);
  } finally {
    await proxy.stop();
    await gateway.stop();
    await upstream.stop();
  }
}

function report(title, direct, through) {
  console.log(`\n${title}`);
  const failedBefore = totals.fail;
  for (const check of [...new Set([...direct.keys(), ...through.keys()])].sort()) {
    const [before, after] = [direct.get(check), through.get(check)];
    const must = before === 'SUCCESS' || (ALWAYS.includes(check.split(': ')[0]) && after !== undefined);
    if (!must) continue;
    const passes = after === 'SUCCESS';
    totals[passes ? 'pass' : 'fail'] += 1;
    if (!passes || before !== 'SUCCESS') console.log(`  ${passes ? '✔' : '✖'} ${check}: ${before} directly, ${after} through`);
  }
  runs[totals.fail > failedBefore ? 'fail' : 'pass'] += 1;
  const count = (checks) => [...checks.values()].filter((status) => status === 'SUCCESS').length;
  console.log(`  ${count(direct)} of ${direct.size} checks pass directly, ${count(through)} of ${through.size} through the gateway`);
}

/** Runs what the revision requires and gives each check's status. */
async function conformance(url, revision) {
  const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-conformance-'));
  const suite = new Process('conformance', process.execPath,
    [SUITE, 'server', '--url', url, '--requirements', revision, '--timeout', '15000', '--output-dir', folder]);
  suite.child.stdin.end();
  await suite.ended;
  const checks = new Map();
  for (const run of readdirSync(folder).sort()) {
    const scenario = /^server-(.*)-\d{4}-\d\d-\d\dT/.exec(run)?.[1] ?? run;
    for (const [number, check] of JSON.parse(readFileSync(path.join(folder, run, 'checks.json'))).entries()) {
      const first = `${scenario}: ${check.id}`;
      checks.set(checks.has(first) ? `${first} (${number})` : first, check.status);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  if (checks.size === 0) throw new Error(`the suite checked nothing:\n${suite.output}`);
  return checks;
}

/** Node reads its trust roots when it starts: runs this program again with those of a new certificate authority. */
function startAgain() {
  const made = makeCertificates();
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: made.ca,
    PORTCULLIS_E2E_CA: made.ca,
    PORTCULLIS_E2E_CERTIFICATE: made.certificate,
    PORTCULLIS_E2E_KEY: made.key,
  };
  const { status } = spawnSync(process.execPath, process.argv.slice(1), { stdio: 'inherit', env });
  made.remove();
  process.exit(status ?? 1);
}
