// Tools that answer by themselves, and tools that speak while they work.
import { fromJsonSchema } from '@modelcontextprotocol/server';
import { content, embedded, input, pause, picture, sound, STRING, text } from './content.mjs';

const ANSWERS = {
  test_simple_text: content(text('This is a simple text response for testing.')),
  test_image_content: content(picture),
  test_audio_content: content(sound),
  test_embedded_resource: content(embedded('test://embedded-resource', 'This is an embedded resource content.')),
  test_multiple_content_types: content(text('Multiple content types test:'), picture,
    embedded('test://mixed-content-resource', '{"test":"data","value":123}', 'application/json')),
};

/** A schema with what JSON Schema has had since 2020-12; all of it must arrive. */
const NEWER_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: { $anchor: 'addressDef', type: 'object', properties: { street: STRING, city: STRING } },
  },
  properties: {
    name: STRING,
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: STRING,
    email: STRING,
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

export function addAnswering(server, era, notify) {
  for (const [name, answer] of Object.entries(ANSWERS)) {
    server.registerTool(name, { description: 'Gives always the same.' }, async () => answer);
  }
  server.registerTool('test_error_handling', { description: 'Fails.' }, async () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  const newer = { description: 'Takes a person.', inputSchema: fromJsonSchema(NEWER_SCHEMA) };
  server.registerTool('json_schema_2020_12_tool', newer, async () => content(text('taken')));
  server.registerTool('test_tool_with_progress', { description: 'Tells its progress.' }, tellProgress);
  server.registerTool(era === 'legacy' ? 'test_tool_with_logging' : 'test_logging_tool', { description: 'Logs.' }, log);
  if (era === 'legacy') addLegacy(server);
  else addModern(server, notify);
}

async function tellProgress(context) {
  const { progressToken = 0 } = context.mcpReq._meta ?? {};
  for (const progress of [0, 50, 100]) {
    await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    await pause(50);
  }
  return content(text('told'));
}

async function log(context) {
  for (const words of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await context.mcpReq.log('info', words);
    await pause(50);
  }
  return content(text('logged'));
}

function addLegacy(server) {
  // The client has to come back for the answer.
  server.registerTool('test_reconnection', { description: 'Closes its stream, to be polled.' }, async (context) => {
    context.http.closeSSE();
    await pause(100);
    return content(text('The stream was closed and polled again.'));
  });
}

function addModern(server, notify) {
  const inputSchema = input({ region: { ...STRING, 'x-mcp-header': 'Region' } }, ['region']);
  server.registerTool('test_header_parameter', { description: 'Gives the region that a field repeats.', inputSchema },
    async ({ region }) => content(text(region)));
  server.registerTool('test_trigger_tool_change', { description: 'Says that tools changed.' }, async () => {
    notify.toolsChanged();
    return content(text('changed'));
  });
  server.registerTool('test_trigger_prompt_change', { description: 'Says that prompts changed.' }, async () => {
    notify.promptsChanged();
    return content(text('changed'));
  });
}
