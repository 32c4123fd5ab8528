// Ports that nobody listens on. They come from below the range that the kernel hands out for outgoing connections,
// so no other test's client can take one between the look and the use.
import net from 'node:net';
import { randomInt } from 'node:crypto';

const given = new Set();

export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(12_000, 32_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await bindable(port)) return port;
  }
  throw new Error('no free port found');
}

function bindable(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '::', () => probe.close(() => resolve(true)));
  });
}

/** True once something accepts connections on the port. */
export function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

/** Listens on each of the ports unless somebody does already. Gives those taken here, and `release`. */
export async function occupy(ports) {
  const holders = ports.map((port) => net.createServer().listen(port, '127.0.0.1'));
  const held = await Promise.all(holders.map((holder) => new Promise((resolve) => {
    holder.once('listening', () => resolve(true));
    holder.once('error', () => resolve(false));
  })));
  const taken = ports.filter((_port, index) => held[index]);
  return { taken, release: () => holders.forEach((holder, index) => held[index] && holder.close()) };
}
