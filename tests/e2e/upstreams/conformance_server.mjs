// A server with what the conformance suite looks for by name, on the official TypeScript SDK; both eras.
// usage: conformance_server.mjs PORT [lax]
//
// Modern requests are served one by one, legacy ones in sessions that can be resumed. Like any server on loopback it
// refuses a foreign Host and Origin; `lax` makes it believe whatever header fields say.
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import {
  createMcpHandler, createRequestStateCodec, hostHeaderValidationResponse, isLegacyRequest, localhostAllowedHostnames,
  localhostAllowedOrigins, McpServer, originValidationResponse, WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { addAnswering } from './conformance/answering.mjs';
import { addAsking } from './conformance/asking.mjs';
import { addAskingLegacy } from './conformance/asking-legacy.mjs';
import { DirectTools } from './conformance/direct.mjs';
import { Events } from './conformance/events.mjs';
import { believeBody } from './conformance/lax.mjs';
import { addOffering } from './conformance/offering.mjs';
import { addTasks, TASKS } from './conformance/tasks.mjs';

const lax = process.argv[3] === 'lax';
const codec = createRequestStateCodec({ key: 'a key that is only for tests, and long enough' });
const modern = createMcpHandler(() => newServer('modern'), { legacy: 'reject' });
const sessions = new Map();

const server = http.createServer(async (incoming, outgoing) => {
  try {
    await answer(await respond(await toRequest(incoming, outgoing)), outgoing);
  } catch {
    outgoing.destroy();
  }
});
server.listen(Number(process.argv[2]), '127.0.0.1');

async function respond(received) {
  const request = lax ? await believeBody(received) : received;
  const refusal = hostHeaderValidationResponse(request, localhostAllowedHostnames())
    ?? originValidationResponse(request, localhostAllowedOrigins());
  if (refusal) return refusal;
  return await isLegacyRequest(request.clone()) ? legacy(request) : modern.fetch(request);
}

async function legacy(request) {
  const id = request.headers.get('mcp-session-id');
  if (id === null) return (await newSession()).handleRequest(request);
  const transport = sessions.get(id);
  return transport?.handleRequest(request) ?? new Response('no such session', { status: 404 });
}

async function newSession() {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => { sessions.set(id, transport); },
    onsessionclosed: (id) => { sessions.delete(id); },
    eventStore: new Events(),
    retryInterval: 100,
  });
  await newServer('legacy').connect(transport);
  return transport;
}

function newServer(era) {
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    completions: {},
    logging: {},
    ...(era === 'modern' && { extensions: { [TASKS]: {} } }),
  };
  const made = new McpServer({ name: 'conformance', version: '1.0.0' }, {
    capabilities,
    requestState: { verify: codec.verify },
  });
  addAnswering(made, era, modern.notify);
  addOffering(made, era);
  if (era === 'legacy') addAskingLegacy(made);
  else addDirect(made);
  return made;
}

function addDirect(made) {
  const direct = new DirectTools(made);
  addAsking(made, direct, codec);
  addTasks(made, direct);
  direct.install();
}

async function toRequest(incoming, outgoing) {
  const left = new AbortController();
  outgoing.on('close', () => left.abort());
  const { method, rawHeaders } = incoming;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at], rawHeaders[at + 1]);
  const body = method === 'POST' ? await text(incoming) : undefined;
  return new Request(new URL(incoming.url, 'http://127.0.0.1'), { method, headers, body, signal: left.signal });
}

async function answer(response, outgoing) {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  if (!response.body) return void outgoing.end();
  return pipeline(Readable.fromWeb(response.body), outgoing);
}
