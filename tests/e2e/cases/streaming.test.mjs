// What arrives on a stream goes on at once: progress is seen step by step, in either era.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as typescript from '../clients/typescript.mjs';
import * as typescriptV1 from '../clients/typescript-v1.mjs';
import { startEverything, startFastmcp } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const STEPS = 5;
const PAUSE = 0.4; // seconds

const cast = world({
  start: async () => {
    const [everything, fastmcp] = await Promise.all([startEverything(), startFastmcp()]);
    return { everything, fastmcp, stop: () => Promise.all([everything.stop(), fastmcp.stop()]) };
  },
  routes: ({ upstream }) => [
    { name: 'everything', path: '/everything', upstream: upstream.everything.url },
    { name: 'fastmcp', path: '/fastmcp', upstream: upstream.fastmcp.url },
  ],
});

test('progress of a legacy call arrives step by step', async () => {
  const { client } = await typescriptV1.connect(`${cast.gateway.origin}/everything`);
  const tool = { name: 'trigger-long-running-operation', arguments: { duration: STEPS * PAUSE, steps: STEPS } };
  await assertStepByStep(client, (onprogress) => client.callTool(tool, undefined, { onprogress }));
});

test('progress of a modern call arrives step by step', async () => {
  const { client } = await typescript.connect(`${cast.gateway.origin}/fastmcp`);
  assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
  const tool = { name: 'count', arguments: { steps: STEPS, pause: PAUSE } };
  await assertStepByStep(client, (onprogress) => client.callTool(tool, { onprogress }));
});

/** The steps must have come with time between them, which they would not if something had kept them back. */
async function assertStepByStep(client, callTool) {
  const seen = [];
  try {
    const result = await callTool(({ progress }) => seen.push({ progress, at: performance.now() }));
    const end = performance.now();
    assert.ok(!result.isError, JSON.stringify(result));
    assert.deepEqual(seen.map(({ progress }) => progress), Array.from({ length: STEPS }, (_, step) => step + 1));
    const ahead = end - seen[0].at;
    assert.ok(ahead > (STEPS - 2) * PAUSE * 1000, `the first step came only ${ahead} ms before the end`);
    const spread = seen.at(-1).at - seen[0].at;
    assert.ok(spread > (STEPS - 2) * PAUSE * 1000, `all steps came within ${spread} ms`);
  } finally {
    await client.close();
  }
}
