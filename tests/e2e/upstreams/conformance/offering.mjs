// Resources, prompts and completion.
import { ResourceTemplate } from '@modelcontextprotocol/server';
import { embedded, input, picture, PIXEL, STRING, text } from './content.mjs';

export function addOffering(server, era) {
  addResources(server);
  addPrompts(server);
  const completion = { values: [], total: 0, hasMore: false };
  server.server.setRequestHandler('completion/complete', async () => ({ completion }));
  if (era === 'legacy') {
    server.server.setRequestHandler('resources/subscribe', async () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', async () => ({}));
  }
}

function addResources(server) {
  const plain = { mimeType: 'text/plain' };
  const read = (uri, piece) => ({ contents: [{ uri: uri.href, ...piece }] });
  server.registerResource('static text', 'test://static-text', plain, async (uri) =>
    read(uri, { ...plain, text: 'This is the content of the static text resource.' }));
  server.registerResource('watched', 'test://watched-resource', plain, async (uri) =>
    read(uri, { ...plain, text: 'Watched.' }));
  server.registerResource('static binary', 'test://static-binary', { mimeType: 'image/png' }, async (uri) =>
    read(uri, { mimeType: 'image/png', blob: PIXEL }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const json = { mimeType: 'application/json' };
  server.registerResource('template', template, json, async (uri, { id }) =>
    read(uri, { ...json, text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }));
}

function addPrompts(server) {
  const say = (...pieces) => ({ messages: pieces.map((piece) => ({ role: 'user', content: piece })) });
  const prompt = (name, members, handler) =>
    server.registerPrompt(name, { description: 'Says.', argsSchema: input(members, Object.keys(members)) }, handler);
  prompt('test_simple_prompt', {}, async () => say(text('This is a simple prompt for testing.')));
  prompt('test_prompt_with_arguments', { arg1: STRING, arg2: STRING }, async ({ arg1, arg2 }) =>
    say(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
  prompt('test_prompt_with_embedded_resource', { resourceUri: STRING }, async ({ resourceUri }) =>
    say(embedded(resourceUri, 'Embedded resource content for testing.'), text('Please process it.')));
  prompt('test_prompt_with_image', {}, async () => say(picture, text('Please analyze the image above.')));
}
