// `node conformance_client.mjs URL`: the TypeScript SDK doing what the suite's scenario wants to see.
//
// With E2E_ISSUER it starts a gateway before that server, gets a token, and goes through it.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startGateway } from '../support/gateway.mjs';
import { clientCredentials } from '../support/tokens.mjs';

const { E2E_ISSUER: issuer, MCP_CONFORMANCE_SCENARIO: scenario } = process.env;
const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION >= '2026-07-28';

const SCENARIOS = {
  'initialize': (client) => client.listTools(),
  'tools_call': (client) => call(client, 'add_numbers', { a: 5, b: 3 }),
  'sse-retry': (client) => call(client, 'test_reconnection'),
  'elicitation-sep1034-client-defaults': (client) => call(client, 'test_client_elicitation_defaults'),
  'request-metadata': async (client) => {
    await client.listTools();
    await client.callTool({ name: 'any', arguments: {} });
  },
  async 'json-schema-2020-12-preservation'(client) {
    const schema = (await find(client, 'json_schema_2020_12_tool')).inputSchema;
    await call(client, 'json_schema_echo', { schema });
  },
  async 'http-standard-headers'(client) {
    for (const tool of (await client.listTools()).tools) await client.callTool({ name: tool.name, arguments: {} });
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },
  async 'http-custom-headers'(client) {
    const { toolCalls } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT);
    for (const { name, arguments: args } of toolCalls) await call(client, name, args);
  },
  async 'http-invalid-tool-headers'(client) {
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: { region: 'here' } });
  },
  async 'sep-2322-client-request-state'(client) {
    await client.listTools();
    const names = ['test_mrtr_echo_state', 'test_mrtr_unrelated', 'test_mrtr_no_state'];
    await Promise.all(names.map((name) => client.callTool({ name, arguments: {} })));
    // The revision forbids such an answer and the SDK refuses it; the scenario only wants that it is not retried.
    await client.callTool({ name: 'test_mrtr_no_result_type', arguments: {} }).catch(() => {});
  },
  'json-schema-ref-no-deref': (client) => client.listTools(),
};

// The suite would give up a client, but not end it.
setTimeout(() => process.exit(1), 25_000).unref();

const upstream = new URL(process.argv.at(-1)).href;
if (issuer) await throughGateway();
else await play(upstream);

async function throughGateway() {
  const minted = new Set();
  const gateway = await startGateway({ url: issuer, minted }, [{ name: 'suite', upstream }]);
  try {
    const token = await clientCredentials(issuer, gateway.url);
    minted.add(token);
    await play(gateway.url, { headers: { authorization: `Bearer ${token}` } });
  } finally {
    await gateway.stop();
  }
}

async function play(url, requestInit) {
  const capabilities = { elicitation: { form: { applyDefaults: true } } };
  const client = new Client({ name: 'e2e', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode: modern ? 'auto' : 'legacy' } });
  const answer = { action: 'accept', content: modern ? { confirmed: true } : {} };
  client.setRequestHandler('elicitation/create', async () => answer);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  try {
    await SCENARIOS[scenario](client);
  } finally {
    await client.close();
  }
}

async function call(client, name, args = {}) {
  await find(client, name);
  await client.callTool({ name, arguments: args });
}

async function find(client, name) {
  const found = (await client.listTools()).tools.find((tool) => tool.name === name);
  if (!found) throw new Error(`no tool is called ${name}`);
  return found;
}
