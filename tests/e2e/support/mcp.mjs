// MCP requests written out by hand, for what no client would do.

let nextId = 1;

/** POSTs one JSON-RPC request of the legacy era. */
export async function post(url, { token, method = 'tools/list', params = {}, headers = {}, id = nextId += 1 } = {}) {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
}

/** POSTs one JSON-RPC request of the modern era, with the fields that repeat its body. */
export async function postModern(url, { params = {}, headers = {}, method = 'tools/list', ...more } = {}) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const repeated = { 'mcp-protocol-version': MODERN, 'mcp-method': method };
  if (params.name) repeated['mcp-name'] = params.name;
  return post(url, { method, params: { ...params, _meta }, headers: { ...repeated, ...headers }, ...more });
}

const MODERN = '2026-07-28';
const CLIENT = { name: 'e2e', version: '1.0.0' };

/** Starts a legacy session by hand and gives its id. */
export async function openSession(url, token) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: CLIENT };
  const response = await post(url, { token, method: 'initialize', params });
  const body = await response.text();
  const session = response.headers.get('mcp-session-id');
  if (!response.ok || !session) throw new Error(`initialize: ${response.status} ${body}`);
  return session;
}

/** The message of a response, whether it came as JSON or as the only one of a stream. */
export async function message(response) {
  const body = await response.text();
  const data = body.split('\n').filter((line) => /^data: ?\{/.test(line)).map((line) => line.slice('data:'.length));
  return JSON.parse(data[0] ?? body);
}

/** The text of a tool's answer. */
export async function call(client, name, args = {}, options) {
  const result = await client.callTool({ name, arguments: args }, ...options ?? []);
  if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  return result.content[0].text;
}
