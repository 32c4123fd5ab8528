// The TypeScript SDK, version 1: `@modelcontextprotocol/sdk`, over Streamable HTTP and over the older HTTP+SSE.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Credentials } from './credentials.mjs';

export const connect = (url, options) => connectOver(StreamableHTTPClientTransport, url, options);
export const connectSse = (url, options) => connectOver(SSEClientTransport, url, options);

async function connectOver(Transport, url, { credentials = new Credentials(), fetch } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    const transport = new Transport(new URL(url), { authProvider: credentials, fetch });
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    try {
      await client.connect(transport);
      return { client, transport, credentials };
    } catch (error) {
      await client.close();
      if (!(error instanceof UnauthorizedError) || attempt > 0) throw error;
      await transport.finishAuth(credentials.callback.searchParams.get('code'));
    }
  }
}
