// `portcullis doctor`, run on a gateway's configuration with one thing changed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { certificates } from './certificates.mjs';
import { GATEWAY } from './places.mjs';
import { Process, tail } from './process.mjs';

/**
 * Gives what the doctor says: `{ code, output, findings, problems, warnings }`, the last two as `code → finding`. `edit` changes the
 * configuration's text; `token` comes over standard input.
 */
export async function examine(gateway, { edit = (text) => text, token, options = [], json = true } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-doctor-'));
  try {
    const file = path.join(folder, 'gateway.toml');
    const before = readFileSync(gateway.file, 'utf8');
    const text = edit(before);
    writeFileSync(file, text);
    const asked = ['doctor', '--config', file, '--ca', certificates().ca, ...(json ? ['--json'] : []), ...options];
    const doctor = new Process('doctor', GATEWAY, token ? [...asked, '--token', '-'] : asked);
    doctor.child.stdin.end(token ?? '');
    const { code } = await doctor.ended;
    assert.ok(code === 0 || code === 1, tail(doctor.output));
    if (token) assertKeeps(doctor.output, token);
    return { code, output: doctor.stdout, ...(json && read(doctor.stdout)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(output) {
  const { problems, warnings, sections } = JSON.parse(output);
  const findings = sections.flatMap((section) => section.findings.map((finding) => ({ about: section.about, ...finding })));
  const byCode = (level) => new Map(findings.filter((one) => one.level === level).map((one) => [one.code, one]));
  const all = { findings, problems: byCode('problem'), warnings: byCode('warning') };
  assert.equal(findings.filter((one) => one.level === 'problem').length, problems);
  assert.equal(findings.filter((one) => one.level === 'warning').length, warnings);
  return all;
}

/** Neither the token nor its signature is anywhere in what is said. */
function assertKeeps(output, token) {
  assert.ok(!output.includes(token), 'the token is printed');
  const signature = token.split('.').at(-1);
  assert.ok(signature.length < 20 || !output.includes(signature), 'the signature is printed');
}
