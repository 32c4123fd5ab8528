// Servers, directly and through the gateway.
import { startBearerProxy } from '../support/bearer.mjs';
import { startGateway } from '../support/gateway.mjs';
import { startConformance, startConformancePython, startEverything, startLax } from '../support/upstreams.mjs';
import { checkServer } from './suite.mjs';
import { ALWAYS } from './tally.mjs';

// Hides nothing that is there, but every list has to be read for it.
const policy = {
  default: 'allow',
  rules: [
    { tools: ['never_*'], deny: true },
    { prompts: ['never_*'], deny: true },
    { resources: ['never://*'], deny: true },
  ],
};

const RUNS = [
  // Made for the suite: it passes everything, and so must the gateway before it.
  { name: 'conformance server', start: startConformance, revision: '2025-11-25', whole: true, policy },
  { name: 'conformance server', start: startConformance, revision: '2026-07-28', whole: true, policy },
  // The same without any of its own checks of header fields.
  { name: 'lax server', start: startLax, revision: '2026-07-28', lax: true },
  { name: 'server-everything', start: startEverything, revision: '2025-11-25' },
  { name: 'python mcp', start: startConformancePython, revision: '2025-11-25' },
  { name: 'python mcp', start: startConformancePython, revision: '2026-07-28' },
];

export async function compareServers(issuer, tally) {
  for (const run of RUNS) await compare(issuer, tally, run);
}

async function compare(issuer, tally, { name, start, revision, whole, lax, ...more }) {
  const upstream = await start();
  const route = { name: 'conformance', upstream: upstream.url, origins: ['self'], ...more };
  const gateway = await startGateway(issuer, [route]);
  const proxy = await startBearerProxy(gateway, () => issuer.clientCredentials(gateway.url));
  try {
    const direct = await checkServer(upstream.url, revision);
    const through = await checkServer(proxy.url, revision);
    tally.report(`${name}, ${revision}`, direct, through, { whole });
    for (const scenario of lax ? ALWAYS : []) {
      const fails = [...direct].some(([check, status]) => check.startsWith(`${scenario}: `) && status === 'FAILURE');
      tally.expect(`${scenario} fails directly, or its passing through would prove nothing`, fails);
    }
  } finally {
    await proxy.stop();
    await gateway.stop();
    await upstream.stop();
  }
}
