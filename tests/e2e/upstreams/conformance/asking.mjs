// Tools of the modern era that ask back, by an answer that is none yet (input_required), and a prompt that does.
import {
  acceptedContent, inputRequired, inputResponse, MissingRequiredClientCapabilityError, ProtocolError, ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { content, object, STRING, text } from './content.mjs';

export const ask = (message, member, schema = STRING) =>
  inputRequired.elicit({ message, requestedSchema: object({ [member]: schema }, [member]) });
export const askName = () => ({ user_name: ask('What is your name?', 'name') });
const askModel = (words, maxTokens = 100) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(words) }], maxTokens });

export function addAsking(server, direct, codec) {
  const tool = (name, handler) => direct.add(`test_input_required_result_${name}`, 'Asks back.', handler);

  tool('elicitation', async (context) => {
    const answer = given(context, 'user_name', 'elicit');
    return answer ? content(text(`Hello, ${answer.content?.name}!`)) : inputRequired({ inputRequests: askName() });
  });
  tool('sampling', async (context) => {
    const answer = given(context, 'capital_question', 'sampling');
    const inputRequests = { capital_question: askModel('What is the capital of France?') };
    return answer ? content(text(answer.result.content.text)) : inputRequired({ inputRequests });
  });
  tool('list_roots', async (context) => {
    const answer = given(context, 'client_roots', 'roots');
    const inputRequests = { client_roots: inputRequired.listRoots() };
    return answer ? content(text(JSON.stringify(answer.roots))) : inputRequired({ inputRequests });
  });
  tool('multiple_inputs', async (context) => {
    const kinds = { user_name: 'elicit', greeting: 'sampling', client_roots: 'roots' };
    const whole = Object.entries(kinds).every(([key, kind]) => given(context, key, kind));
    if (whole && context.mcpReq.requestState()) return content(text('all three'));
    const greeting = askModel('Generate a greeting', 50);
    const inputRequests = { ...askName(), greeting, client_roots: inputRequired.listRoots() };
    return inputRequired({ inputRequests, requestState: await codec.mint({ asked: 'three' }) });
  });
  for (const name of ['request_state', 'tampered_state']) tool(name, (context) => confirm(context, codec, name));
  tool('multi_round', (context) => rounds(context, codec));
  addDeclared(direct);
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks back.' }, async (context) => {
    const answer = acceptedContent(context.mcpReq.inputResponses, 'user_context');
    if (answer) return { messages: [{ role: 'user', content: text(`In the context of ${answer.context}`) }] };
    return inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } });
  });
}

async function confirm(context, codec, name) {
  const { asked } = context.mcpReq.requestState() ?? {};
  if (asked === name && given(context, 'confirm', 'elicit')) return content(text('state-ok'));
  const inputRequests = { confirm: ask('Please confirm', 'ok', { type: 'boolean' }) };
  return inputRequired({ inputRequests, requestState: await codec.mint({ asked: name }) });
}

async function rounds(context, codec) {
  const next = async (round, question) =>
    inputRequired({ inputRequests: { [`step${round}`]: question }, requestState: await codec.mint({ round }) });
  const round = context.mcpReq.requestState()?.round ?? 0;
  const answered = (step) => round === step && given(context, `step${step}`, 'elicit');
  if (answered(1)) return next(2, ask('Step 2: What is your favorite color?', 'color'));
  if (answered(2)) return content(text('both steps done'));
  return next(1, ask('Step 1: What is your name?', 'name'));
}

/** Tools that may ask only for what the client declares. */
function addDeclared(direct) {
  direct.add('test_input_required_result_capabilities', 'Asks for what the client can.', async (context) => {
    const { elicitation, sampling } = capabilities(context);
    const inputRequests = { ...(elicitation && askName()), ...(sampling && { words: askModel('Say something') }) };
    return inputRequired({ inputRequests });
  });
  direct.add('test_streaming_elicitation', 'Asks back on a stream.', async (context) => {
    await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken: 0, progress: 1 } });
    return inputRequired({ inputRequests: askName() });
  });
  direct.add('test_missing_capability', 'Needs a client with a model.', async (context) => {
    need(context, 'sampling');
    return content(text('declared'));
  });
}

/** The client's answer to a question, if it is there; one of another kind is an error. */
export function given(context, key, kind) {
  const { inputResponses, droppedInputResponseKeys } = context.mcpReq;
  const answer = inputResponse(inputResponses, key);
  const missing = answer.kind === 'missing';
  if (missing ? droppedInputResponseKeys?.includes(key) : answer.kind !== kind) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `${key}: not an answer to what was asked`);
  }
  return missing ? undefined : answer;
}

export const capabilities = (context) => context.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {};

function need(context, capability) {
  if (!capabilities(context)[capability]) {
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { [capability]: {} } });
  }
}
