// The usual cast of a test file: an issuer, an upstream, and the gateway between them and the clients.
import { after, before } from 'node:test';
import { startGateway } from './gateway.mjs';
import { startIssuer } from './issuer.mjs';

/**
 * Starts everything before the first test of the file and stops it after the last, whatever happened in between.
 * `start` makes the upstreams; `routes` gets them and gives the gateway's routes.
 */
export function world({ issuer: issuerOptions, start, routes, gateway: gatewayOptions }) {
  const cast = {};
  const ends = [];
  before(async () => {
    cast.issuer = await startIssuer(issuerOptions);
    ends.unshift(() => cast.issuer.stop());
    cast.upstream = await start();
    ends.unshift(() => cast.upstream.stop());
    cast.gateway = await startGateway(cast.issuer, routes(cast), gatewayOptions);
    ends.unshift(() => cast.gateway.stop());
  });
  after(async () => {
    const failures = [];
    for (const end of ends) await end().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  });
  return cast;
}
