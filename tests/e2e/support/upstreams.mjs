// Real MCP servers, unmodified, without any authentication of their own.
import { Process } from './process.mjs';
import { accepts, freePort } from './ports.mjs';
import { GaveUp, until } from './wait.mjs';
import { here, PYTHON } from './places.mjs';
import { certificates } from './certificates.mjs';

const EVERYTHING = here('node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const CONFORMANCE = here('upstreams/conformance_server.mjs');

/** The reference server for everything in the protocol; legacy revisions only. */
export async function startEverything(transport = 'streamableHttp') {
  return start('server-everything', process.execPath, () => [EVERYTHING, transport], (port) => ({ PORT: String(port) }));
}

/** FastMCP with the tools `add`, `headers`, `count` and `delete_all`; both eras. It answers on streams, or in JSON. */
export async function startFastmcp({ json = false } = {}) {
  return start('fastmcp', PYTHON, (port) => [here('upstreams/fastmcp_server.py'), String(port)],
    () => ({ FASTMCP_JSON_RESPONSE: String(json) }));
}

/** The official Python SDK with the tool `add`; both eras; refuses a foreign Host and Origin. */
export async function startPythonMcp() {
  return start('python mcp', PYTHON, (port) => [here('upstreams/mcp_server.py'), String(port)]);
}

/** What the conformance suite looks for by name, on the official TypeScript SDK; both eras. */
export async function startConformance() {
  return start('conformance server', process.execPath, (port) => [CONFORMANCE, String(port)]);
}

/** The same, but it believes anything that header fields say. */
export async function startLax() {
  return start('lax server', process.execPath, (port) => [CONFORMANCE, String(port), 'lax']);
}

/** What the conformance suite looks for by name, on the official Python SDK; both eras. */
export async function startConformancePython() {
  return start('python conformance server', PYTHON, (port) => [here('upstreams/conformance_server.py'), String(port)]);
}

/** FastMCP behind its own token check and its own TLS: what the clients do without the gateway. */
export async function startProtected(issuer) {
  const { certificate, key } = certificates();
  const server = await start('protected fastmcp', PYTHON,
    (port) => [here('upstreams/fastmcp_server.py'), String(port)],
    (port) => ({
      E2E_ISSUER: issuer.url,
      E2E_BASE: `https://127.0.0.1:${port}`,
      E2E_CERTIFICATE: certificate,
      E2E_KEY: key,
    }));
  return { ...server, url: `https://127.0.0.1:${server.port}/mcp` };
}

async function start(name, command, args, environment = () => ({})) {
  const port = await freePort();
  const server = new Process(name, command, args(port), { env: { ...process.env, ...environment(port) } });
  await until(`${name} listening`, () => {
    if (server.over) throw new GaveUp(`${name} ended at once:\n${server.output}`);
    return accepts(port);
  }, { within: 40_000 });
  return {
    name,
    port,
    origin: `http://127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/mcp`,
    log: () => server.output,
    stop: () => server.stop(),
  };
}
