// What stands beside the gateway is killed outright while requests go on: nobody notices, and it is found again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startGateway } from '../support/gateway.mjs';
import { openSession, post } from '../support/mcp.mjs';
import { accepts, freePort } from '../support/ports.mjs';
import { here } from '../support/places.mjs';
import { Process } from '../support/process.mjs';
import { clientCredentials } from '../support/tokens.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { until } from '../support/wait.mjs';

const cast = {};
let ports;

/** A program of `support/` on a port, once it listens. */
async function start(name, port) {
  const child = new Process(name, process.execPath, [here(`support/${name}.mjs`), String(port)]);
  await until(`${name} listening`, () => accepts(port));
  return child;
}

/** Ends it as no program can prepare for. */
async function kill(child) {
  child.child.kill('SIGKILL');
  assert.equal((await child.ended).signal, 'SIGKILL');
}

before(async () => {
  ports = { issuer: await freePort(), collector: await freePort() };
  cast.issuer = await start('standalone_issuer', ports.issuer);
  cast.collector = await start('collector', ports.collector);
  cast.upstream = await startEverything();
  const url = `http://127.0.0.1:${ports.issuer}`;
  cast.known = { url, minted: new Set() };
  cast.gateway = await startGateway(cast.known, [{ name: 'everything', upstream: cast.upstream.url }], {
    issuerKeys: { key_cool_down: '1s' },
    tables: `[telemetry]\nendpoint = "http://127.0.0.1:${ports.collector}"\ninterval = "1s"\n`,
  });
});

after(async () => {
  const ends = [cast.gateway, cast.upstream].filter(Boolean).map((one) => one.stop());
  ends.push(...[cast.issuer, cast.collector].filter(Boolean).map((one) => one.over || one.stop()));
  const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
});

async function token() {
  const minted = await clientCredentials(cast.known.url, cast.gateway.url);
  cast.known.minted.add(minted);
  return minted;
}

test('kill -9 of the issuer: tokens that nobody has seen yet are judged, and a new issuer is found', async () => {
  const tokens = [];
  for (let count = 0; count < 5; count += 1) tokens.push(await token());
  await kill(cast.issuer);
  for (const one of tokens) await openSession(cast.gateway.url, one);
  assert.equal((await fetch(`${cast.gateway.admin}/readyz`)).status, 200);

  cast.issuer = await start('standalone_issuer', ports.issuer); // with another key
  const fresh = await token();
  await until('the new key is known', async () => {
    const answer = await post(cast.gateway.url, { token: fresh, method: 'ping' });
    await answer.text();
    return answer.status !== 401;
  });
  // The old key is withdrawn.
  assert.equal((await post(cast.gateway.url, { token: tokens[0] })).status, 401);
});

test('kill -9 of the collector: no request is lost, it is said once, and deliveries go on when it is back', async () => {
  const used = await token();
  const deliveries = (kind) => cast.collector.output.split(`taken /v1/${kind}`).length - 1;
  await openSession(cast.gateway.url, used);
  await until('spans and metrics arrive', () => deliveries('traces') > 0 && deliveries('metrics') > 0);

  await kill(cast.collector);
  const failures = async () => {
    const text = await (await fetch(`${cast.gateway.admin}/metrics`)).text();
    return Number(/portcullis_telemetry_failures_total (\d+)/.exec(text)[1]);
  };
  await until('several deliveries fail', async () => {
    await openSession(cast.gateway.url, used);
    return (await failures()) >= 2;
  });
  assert.equal(cast.gateway.log().split('"telemetry.failed"').length - 1, 1, 'said once a minute');

  cast.collector = await start('collector', ports.collector);
  await openSession(cast.gateway.url, used);
  await until('deliveries go on', () => deliveries('metrics') > 0);
  await until('it is said', () => cast.gateway.log().includes('"telemetry.recovered"'));
});
