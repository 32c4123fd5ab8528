// `portcullis demo`: the set-up that people try first, as they start it, and what it prints.
import { GATEWAY } from './places.mjs';
import { Process } from './process.mjs';
import { GaveUp, until } from './wait.mjs';

/** The demo that ends by itself: gives what it printed. */
export async function demoOnce() {
  return new Process('demo --once', GATEWAY, ['demo', '--once']).finish();
}

/** The demo that stays up, once everything is there to try. */
export async function startDemo() {
  const demo = new Process('demo', GATEWAY, ['demo']);
  const text = await until('demo ready', () => {
    if (demo.over) throw new GaveUp(`the demo ended at once:\n${demo.output}`);
    return demo.stdout.includes('What a token got') && demo.stdout;
  }).catch(async (error) => {
    await demo.stop().catch(() => {});
    throw error;
  });
  return { text, ...places(text), authority: /NODE_EXTRA_CA_CERTS=(\S+)/.exec(text)[1], stop: () => demo.stop() };
}

/** Where the demo says that everything is. */
export function places(text) {
  const place = (name) => new RegExp(`^  ${name} +(\\S+)`, 'm').exec(text)?.[1];
  return {
    url: place('gateway'),
    upstream: place('MCP server behind it'),
    issuer: place('authorization server'),
    health: place('health'),
    files: place('files'),
  };
}

/** The round trip's steps: `{ name, held }`. */
export function steps(text) {
  return [...text.matchAll(/^ {2}([^\s\w]) (\S.*?) {2,}\S/gm)].map(([, mark, name]) => ({ name, held: mark === '✓' }));
}
