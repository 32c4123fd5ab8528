// Tools that run as tasks (the tasks extension), and the methods that ask how far they are.
import { randomUUID } from 'node:crypto';
import {
  fromJsonSchema, inputRequired, MissingRequiredClientCapabilityError, ProtocolError, ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { ask, askName, capabilities, given } from './asking.mjs';
import { content, object, pause, STRING, text } from './content.mjs';

export const TASKS = 'io.modelcontextprotocol/tasks';
const ENDED = ['completed', 'failed', 'cancelled'];

/** Servers of the modern era live for one request; tasks outlive them. */
const tasks = new Map();

export function addTasks(server, direct) {
  const greet = async (name) => content(text(`Hello, ${name}!`));
  direct.add('greet', 'Greets at once.', (_context, { name }) => greet(name), { name: STRING });
  direct.add('slow_compute', 'Takes its time.', (context, { seconds = 0 }) => {
    const work = async () => { await pause(seconds * 1000); return content(text(`computed for ${seconds} s`)); };
    return declared(context) ? start(work) : work();
  }, { seconds: { type: 'number' }, label: STRING });
  const needing = (name, work, members) => direct.add(name, 'Runs as a task.', async (context, args) => {
    need(context);
    return start((task) => work(task, args));
  }, members);
  needing('failing_job', async () => ({ ...content(text('it failed')), isError: true }));
  needing('protocol_error_job', async () => { throw new Error('it broke'); });
  needing('confirm_delete', async (task, { filename }) => {
    await asked(task, { confirm: ask(`Delete ${filename}?`, 'confirm', { type: 'boolean' }) });
    return content(text('deleted'));
  }, { filename: STRING });
  needing('multi_input', async (task) => {
    await asked(task, { first: ask('The first?', 'value'), second: ask('The second?', 'value') });
    return content(text('both'));
  });
  direct.add('test_tool_with_task', 'Asks, then runs as a task.', async (context) => {
    need(context);
    const answer = given(context, 'user_name', 'elicit');
    return answer ? start(() => greet(answer.content?.name)) : inputRequired({ inputRequests: askName() });
  });
  addMethods(server.server);
}

function addMethods(server) {
  const method = (name, handler) => {
    const params = fromJsonSchema({ ...object({ taskId: STRING }, ['taskId']), additionalProperties: true });
    server.setRequestHandler(`tasks/${name}`, { params }, async (given_, context) => {
      need(context);
      const task = tasks.get(given_.taskId);
      if (!task) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'no such task');
      return handler(task, given_, context) ?? {};
    });
  };
  method('get', view);
  method('cancel', (task) => { if (!ENDED.includes(task.status)) move(task, 'cancelled'); });
  method('update', (task, params, context) => {
    const answers = params.inputResponses ?? context.mcpReq.inputResponses ?? {};
    for (const key of Object.keys(answers)) delete task.inputRequests?.[key];
    if (task.inputRequests && Object.keys(task.inputRequests).length === 0) task.resume();
  });
}

function start(work) {
  const now = new Date().toISOString();
  const times = { createdAt: now, lastUpdatedAt: now, ttlMs: 60_000, pollIntervalMs: 50 };
  const task = { taskId: randomUUID(), status: 'working', ...times };
  tasks.set(task.taskId, task);
  const created = { resultType: 'task', ...view(task) };
  work(task).then(
    (result) => { if (task.status === 'working') move(task, 'completed', { result }); },
    (error) => move(task, 'failed', { error: { code: ProtocolErrorCode.InternalError, message: error.message } }),
  );
  return created;
}

/** Waits until the client has answered all of these. */
async function asked(task, inputRequests) {
  move(task, 'input_required', { inputRequests });
  await new Promise((resolve) => { task.resume = resolve; });
  delete task.inputRequests;
  move(task, 'working');
}

function move(task, status, more) {
  Object.assign(task, { status, lastUpdatedAt: new Date().toISOString() }, more);
}

function view({ resume: _resume, ...seen }) {
  return structuredClone(seen);
}

const declared = (context) => capabilities(context).extensions?.[TASKS] !== undefined;

function need(context) {
  if (!declared(context)) {
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS]: {} } } });
  }
}
