// MCP requests written out by hand, for what no client would do.

let nextId = 1;

/** POSTs one JSON-RPC request of the legacy era. */
export async function post(url, { token, method = 'tools/list', params = {}, headers = {} } = {}) {
  nextId += 1;
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: nextId, method, params }),
  });
}

/** Starts a legacy session by hand and gives its id. */
export async function openSession(url, token) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1.0.0' } };
  const response = await post(url, { token, method: 'initialize', params });
  const body = await response.text();
  const session = response.headers.get('mcp-session-id');
  if (!response.ok || !session) throw new Error(`initialize: ${response.status} ${body}`);
  return session;
}

/** The text of a tool's answer. */
export async function call(client, name, args = {}, options) {
  const result = await client.callTool({ name, arguments: args }, ...options ?? []);
  if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  return result.content[0].text;
}
