// Runs the end-to-end tests: all of `cases/`, or the files named.
//
//   PORTCULLIS_BIN=target/release/portcullis node tests/e2e/run.mjs [--results FILE] [file…]
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { makeCertificates } from './support/certificates.mjs';
import { here } from './support/places.mjs';

const files = process.argv.slice(2);
const results = files[0] === '--results' ? files.splice(0, 2)[1] : undefined;
const cases = files.length > 0
  ? files.map((file) => path.resolve(file))
  : readdirSync(here('cases')).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => here(`cases/${name}`));

const made = makeCertificates();
const options = ['--test', '--test-concurrency=3', '--test-timeout=240000', '--test-reporter=spec', '--test-reporter-destination=stdout'];
if (results) options.push('--test-reporter=tap', `--test-reporter-destination=${path.resolve(results)}`);
const runner = spawn(process.execPath, [...options, ...cases], {
  stdio: 'inherit',
  env: {
    ...process.env,
    // Node reads its trust roots when it starts, so they must exist before.
    NODE_EXTRA_CA_CERTS: made.ca,
    PORTCULLIS_E2E_CA: made.ca,
    PORTCULLIS_E2E_CERTIFICATE: made.certificate,
    PORTCULLIS_E2E_KEY: made.key,
    ...(results && { PORTCULLIS_E2E_PICTURES: path.join(path.dirname(path.resolve(results)), 'pictures') }),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal));
runner.on('close', (code) => {
  made.remove();
  process.exit(code ?? 1);
});
