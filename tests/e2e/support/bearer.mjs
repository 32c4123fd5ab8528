// A small proxy in front of the gateway for programs that cannot log in: it adds a token to each request.
import http from 'node:http';
import https from 'node:https';
import { freePort } from './ports.mjs';

/**
 * Listens on loopback and sends everything to `gateway`, with `Authorization` from `token()`. `Host` is translated as
 * any proxy does, but only its own: a foreign one goes on, for the gateway to refuse. So does `Origin`.
 */
export async function startBearerProxy(gateway, token) {
  const target = new URL(gateway.origin);
  const port = await freePort();
  const own = `127.0.0.1:${port}`;
  const server = http.createServer(async (request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${await token()}` };
    if (headers.host === own) headers.host = target.host;
    if (headers.origin === `http://${own}`) headers.origin = gateway.origin;
    // Without the empty name, node takes the server name for TLS from Host.
    const onward = https.request(target, { method: request.method, path: request.url, headers, servername: '' }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://${own}/mcp`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
