// A server that believes the body alone: what header fields say is overwritten before anything looks at them.

const META = 'io.modelcontextprotocol/protocolVersion';

/** The request as a server sees it that checks neither Host nor Origin nor the fields that repeat the body. */
export async function believeBody(request) {
  const headers = new Headers(request.headers);
  headers.set('host', 'localhost');
  headers.delete('origin');
  const body = request.method === 'POST' ? await request.text() : undefined;
  const { method, params } = read(body);
  if (method && params?._meta?.[META]) {
    headers.set('mcp-protocol-version', params._meta[META]);
    headers.set('mcp-method', method);
    const name = params.name ?? params.uri ?? params.taskId;
    if (typeof name === 'string') headers.set('mcp-name', `=?base64?${Buffer.from(name).toString('base64')}?=`);
    else headers.delete('mcp-name');
    for (const field of [...headers.keys()]) if (field.startsWith('mcp-param-')) headers.delete(field);
  }
  return new Request(request.url, { method: request.method, headers, body, signal: request.signal });
}

function read(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}
