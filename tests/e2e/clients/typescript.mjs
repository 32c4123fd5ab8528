// The TypeScript SDK, version 2: `@modelcontextprotocol/client`.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Credentials } from './credentials.mjs';

/** Connects to `url`, logging in on the way if the server asks for it. */
export async function connect(url, { credentials = new Credentials(), mode = 'auto', fetch } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: credentials, fetch });
    const client = new Client({ name: 'e2e', version: '1.0.0' }, { versionNegotiation: { mode } });
    try {
      await client.connect(transport);
      return { client, transport, credentials };
    } catch (error) {
      await client.close();
      if (!(error instanceof UnauthorizedError) || attempt > 0) throw error;
      await transport.finishAuth(credentials.callback.searchParams);
    }
  }
}
