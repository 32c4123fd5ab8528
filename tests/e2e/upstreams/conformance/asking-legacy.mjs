// Tools of the legacy era that ask back, by a request of their own on the stream of the call. (What the SDK has for it
// asks on the stream that the client holds open besides, which may not be there yet.)
import { content, input, object, STRING, text } from './content.mjs';

const SUGGESTED = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
};

const OPTIONS = ['option1', 'option2', 'option3'];
const TITLED = ['First', 'Second', 'Third']
  .map((word, index) => ({ const: `value${index + 1}`, title: `${word} Option` }));
const CHOICES = {
  untitledSingle: { type: 'string', enum: OPTIONS },
  titledSingle: { type: 'string', oneOf: TITLED },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['The one', 'The two', 'The three'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
  titledMulti: { type: 'array', items: { anyOf: TITLED } },
};

export function addAskingLegacy(server) {
  const asks = (members) => ({ description: 'Asks back.', inputSchema: input(members, Object.keys(members)) });
  server.registerTool('test_sampling', asks({ prompt: STRING }), async ({ prompt }, context) => {
    const params = { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 };
    const answer = await context.mcpReq.send({ method: 'sampling/createMessage', params });
    return content(text(`LLM response: ${answer.content.text}`));
  });
  const user = object({ username: STRING, email: STRING }, ['username', 'email']);
  server.registerTool('test_elicitation', asks({ message: STRING }),
    ({ message }, context) => elicit(context, message, user));
  server.registerTool('test_elicitation_sep1034_defaults', asks({}),
    (_none, context) => elicit(context, 'Please review', object(SUGGESTED)));
  server.registerTool('test_elicitation_sep1330_enums', asks({}),
    (_none, context) => elicit(context, 'Please choose', object(CHOICES)));
}

async function elicit(context, message, requestedSchema) {
  const params = { mode: 'form', message, requestedSchema };
  const answer = await context.mcpReq.send({ method: 'elicitation/create', params });
  return content(text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content)}`));
}
