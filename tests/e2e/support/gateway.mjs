// The gateway under test: its configuration, its start, and what must hold when it stops.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { certificates } from './certificates.mjs';
import { freePort } from './ports.mjs';
import { Process, tail } from './process.mjs';
import { GaveUp, until } from './wait.mjs';
import { GATEWAY } from './places.mjs';

/**
 * Starts the gateway in front of `routes`. A route is an object of configuration keys, in which `path` stands for the
 * resource on this gateway: `{ name, path: '/mcp', upstream, … }`. `origins: ['self']` lets in pages of the gateway's own.
 * `issuerKeys` are further keys of the issuer, `sessions` those of `[sessions]`, `tables` is further text.
 */
export async function startGateway(issuer, routes, { issuerKeys = {}, sessions, tables = '' } = {}) {
  const [port, admin] = [await freePort(), await freePort()];
  const origin = `https://127.0.0.1:${port}`;
  const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const written = configuration({ port, admin, origin, issuer, routes, issuerKeys, sessions, tables });
  writeFileSync(path.join(folder, 'gateway.toml'), written);
  let gateway = await launch(folder, admin).catch((error) => {
    remove();
    throw error;
  });

  return {
    origin,
    url: `${origin}/mcp`,
    /** Its configuration. */
    file: path.join(folder, 'gateway.toml'),
    admin: `http://127.0.0.1:${admin}`,
    log: () => gateway.output,

    /** Ends the gateway and starts another with the same file, and so on the same ports. */
    async restart() {
      await end(gateway, issuer);
      gateway = await launch(folder, admin);
    },

    stop: () => end(gateway, issuer).finally(remove),
  };
}

async function launch(folder, admin) {
  const file = path.join(folder, 'gateway.toml');
  const gateway = new Process('gateway', GATEWAY, ['run', '--config', file], { cwd: folder });
  try {
    await until('gateway ready', async () => {
      if (gateway.over) throw new GaveUp(`gateway ended at once:\n${gateway.output}`);
      return (await fetch(`http://127.0.0.1:${admin}/readyz`)).ok;
    });
    return gateway;
  } catch (error) {
    await gateway.stop().catch(() => {});
    throw new Error(`${error.message}\n${tail(gateway.output)}`);
  }
}

/** Ends the gateway as an orchestrator would: it must drain, exit with 0, and have kept every token to itself. */
async function end(gateway, issuer) {
  const wasOver = gateway.over;
  const { code, signal } = await gateway.stop();
  assert.ok(!wasOver, `the gateway ended before it was told to:\n${tail(gateway.output)}`);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, tail(gateway.output));
  assertKeepsSecrets(gateway.output, issuer.minted);
}

function assertKeepsSecrets(log, tokens) {
  assert.notEqual(log, '', 'the gateway logs what it does');
  for (const token of tokens) {
    assert.ok(!log.includes(token), 'a token is in the log');
    const signature = token.split('.')[2];
    assert.ok(!signature || !log.includes(signature), 'the signature of a token is in the log');
  }
  assert.doesNotMatch(log, /eyJ[\w-]{8,}\.eyJ/, 'something like a token is in the log');
}

function configuration({ port, admin, origin, issuer, routes, issuerKeys, sessions, tables }) {
  const { certificate, key } = certificates();
  const head = `
[listen]
address = "127.0.0.1:${port}"
tls = { certificate = ${text(certificate)}, key = ${text(key)} }

[admin]
address = "127.0.0.1:${admin}"

[log]
level = "trace" # the talkative level is the one that may say too much
${sessions ? `\n[sessions]\n${lines(sessions)}` : ''}
${tables}
[[issuers]]
name = "oidc"
issuer = ${text(issuer.url)}
insecure_http = true
claims = { tenant = "tenant" }
${lines(issuerKeys)}`;
  return head + routes.map((route) => routeTable(route, origin)).join('');
}

function routeTable({ path: place = '/mcp', ...given }, origin) {
  const route = { resource: origin + place, issuers: ['oidc'], scopes: ['mcp:tools'], tenant: 'any', ...given };
  if (route.origins) route.origins = route.origins.map((one) => (one === 'self' ? origin : one));
  return `\n[[routes]]\n${lines(route)}`;
}

function lines(table) {
  return Object.entries(table).map(([key, value]) => `${key} = ${toml(value)}\n`).join('');
}

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value === 'object') {
    return `{ ${Object.entries(value).map(([key, inner]) => `${text(key)} = ${toml(inner)}`).join(', ')} }`;
  }
  return typeof value === 'string' ? text(value) : String(value);
}

const text = (value) => JSON.stringify(value);
