// The official conformance suite against real servers and a real client, directly and through the gateway: what passes
// directly must pass through.
//
//   PORTCULLIS_BIN=target/release/portcullis node tests/e2e/conformance.mjs [--results FILE]
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { compareClients } from './conformance/clients.mjs';
import { compareServers } from './conformance/servers.mjs';
import { Tally } from './conformance/tally.mjs';
import { makeCertificates } from './support/certificates.mjs';
import { startIssuer } from './support/issuer.mjs';

if (!process.env.PORTCULLIS_E2E_CA) startAgain();
const issuer = await startIssuer();
const tally = new Tally();
await compareServers(issuer, tally);
await compareClients(issuer, tally);
await issuer.stop();
const { checks, runs } = tally;
console.log(`\n${checks.pass} checks pass through, ${checks.fail} do not`);
const results = process.argv[process.argv.indexOf('--results') + 1];
if (process.argv.includes('--results')) writeFileSync(results, `# pass ${runs.pass}\n# fail ${runs.fail}\n`);
process.exitCode = checks.fail > 0 || checks.pass === 0 ? 1 : 0;

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
