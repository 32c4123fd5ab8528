// A certificate authority made for one run, and the certificate that every gateway of that run shows.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Makes the files in a new folder and gives their places; `remove` takes them away again. */
export function makeCertificates() {
  const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-tls-'));
  const file = (name) => path.join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });

  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Portcullis end-to-end CA',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=localhost');
  writeFileSync(file('leaf.ext'), [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=serverAuth',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    'subjectKeyIdentifier=hash',
    'authorityKeyIdentifier=keyid',
  ].join('\n'));
  openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
    '-days', '30', '-out', 'leaf.pem', '-extfile', 'leaf.ext');
  return {
    ca: file('ca.pem'),
    certificate: file('leaf.pem'),
    key: file('leaf.key'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The files of this run: `run.mjs` makes them before any test starts, because node reads its trust roots once. */
export function certificates() {
  const { PORTCULLIS_E2E_CA: ca, PORTCULLIS_E2E_CERTIFICATE: certificate, PORTCULLIS_E2E_KEY: key } = process.env;
  if (!ca) throw new Error('start the tests with `node tests/e2e/run.mjs [file…]`');
  return { ca, certificate, key };
}
