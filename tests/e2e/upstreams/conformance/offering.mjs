// Resources, prompts and completion.
import { ResourceTemplate } from '@modelcontextprotocol/server';
import { embedded, input, picture, PIXEL, STRING, text } from './content.mjs';

export function addOffering(server, era) {
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler('completion/complete', async () => ({ completion: { values: [], total: 0, hasMore: false } }));
  if (era === 'legacy') {
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) server.server.setRequestHandler(method, async () => ({}));
  }
}

function addResources(server) {
  const plain = { mimeType: 'text/plain' };
  const read = (uri, piece) => ({ contents: [{ uri: uri.href, ...piece }] });
  server.registerResource('static text', 'test://static-text', plain, async (uri) =>
    read(uri, { ...plain, text: 'This is the content of the static text resource.' }));
  server.registerResource('watched', 'test://watched-resource', plain, async (uri) => read(uri, { ...plain, text: 'Watched.' }));
  server.registerResource('static binary', 'test://static-binary', { mimeType: 'image/png' }, async (uri) =>
    read(uri, { mimeType: 'image/png', blob: PIXEL }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  server.registerResource('template', template, { mimeType: 'application/json' }, async (uri, { id }) =>
    read(uri, { mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }));
}

function addPrompts(server) {
  const say = (...pieces) => ({ messages: pieces.map((piece) => ({ role: 'user', content: piece })) });
  server.registerPrompt('test_simple_prompt', { description: 'Says something.' }, async () => say(text('This is a simple prompt for testing.')));
  server.registerPrompt('test_prompt_with_arguments', { description: 'Repeats.', argsSchema: input({ arg1: STRING, arg2: STRING }, ['arg1', 'arg2']) },
    async ({ arg1, arg2 }) => say(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
  server.registerPrompt('test_prompt_with_embedded_resource',
    { description: 'Embeds a resource.', argsSchema: input({ resourceUri: STRING }, ['resourceUri']) },
    async ({ resourceUri }) => say(embedded(resourceUri, 'Embedded resource content for testing.'), text('Please process it.')));
  server.registerPrompt('test_prompt_with_image', { description: 'Shows a picture.' }, async () => say(picture, text('Please analyze the image above.')));
}
