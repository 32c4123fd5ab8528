// The Python SDK, in a process of its own.
import { Process } from '../support/process.mjs';
import { certificates } from '../support/certificates.mjs';
import { here, PYTHON } from '../support/places.mjs';

/** Logs in, lists the tools and calls one: `{ logins, tools, result }`, or `error` instead of the result. */
export async function listAndCall(url, tool, args, { mode = 'auto' } = {}) {
  const client = new Process('python client', PYTHON,
    [here('clients/python_client.py'), url, certificates().ca, tool, JSON.stringify(args), mode]);
  return JSON.parse(await client.finish());
}
