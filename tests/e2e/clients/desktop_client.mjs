// `node desktop_client.mjs URL NAME TOOL` prints `{"open": …}` for the browser, then `{"text": …}` or `{"error": …}`.
import http from 'node:http';
import { once } from 'node:events';
import { call } from '../support/mcp.mjs';
import { Credentials } from './credentials.mjs';
import { connect } from './typescript.mjs';

const [url, name, tool] = process.argv.slice(2);
const print = (line) => console.log(JSON.stringify(line));

// RFC 8252 §7.3: a loopback address, and whatever port is free.
const server = http.createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const redirect = `http://127.0.0.1:${server.address().port}/callback`;

/** Where the browser comes back to; other requests, such as for an icon, are not it. */
const returned = new Promise((resolve) => {
  server.on('request', (request, response) => {
    const callback = new URL(request.url, redirect);
    if (callback.pathname !== '/callback') return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><h1>Back in the client</h1>');
    return resolve(callback);
  });
});

async function openBrowser(authorizationUrl) {
  print({ open: authorizationUrl });
  return returned;
}

try {
  const { client } = await connect(url, { credentials: new Credentials({ name, redirect, open: openBrowser }) });
  const text = await call(client, tool);
  await client.close();
  print({ text });
} catch (error) {
  print({ error: error.message });
}
server.close();
server.closeAllConnections();
