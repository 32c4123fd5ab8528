// A client before servers that watch it, directly and with the gateway between: they judge what comes through.
import { here } from '../support/places.mjs';
import { checkClient } from './suite.mjs';

const [LEGACY, MODERN] = ['2025-11-25', '2026-07-28'];
const SCENARIOS = [
  ['initialize', LEGACY],
  ['tools_call', LEGACY],
  ['tools_call', MODERN],
  ['sse-retry', LEGACY],
  ['elicitation-sep1034-client-defaults', LEGACY],
  ['json-schema-2020-12-preservation', LEGACY],
  ['json-schema-2020-12-preservation', MODERN],
  ['request-metadata', MODERN],
  ['http-standard-headers', MODERN],
  ['http-custom-headers', MODERN],
  ['http-invalid-tool-headers', MODERN],
  ['sep-2322-client-request-state', MODERN],
  ['json-schema-ref-no-deref', MODERN],
];

const COMMAND = `"${process.execPath}" "${here('clients/conformance_client.mjs')}"`;

export async function compareClients(issuer, tally) {
  for (const [scenario, revision] of SCENARIOS) {
    const check = (url) => checkClient(COMMAND, scenario, revision, { E2E_ISSUER: url });
    const [direct, through] = await Promise.all([check(''), check(issuer.url)]);
    const failedBefore = tally.runs.fail;
    tally.report(`client: ${scenario}, ${revision}`, direct.checks, through.checks);
    if (tally.runs.fail > failedBefore) console.log(through.output.replace(/^/gm, '    '));
  }
}
