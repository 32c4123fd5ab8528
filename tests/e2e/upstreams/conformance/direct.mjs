// Tools whose handlers stand where the SDK's dispatch does: what they throw is an error of the protocol, not of a tool.
import { input } from './content.mjs';

export class DirectTools {
  #server;
  #handlers = new Map();

  constructor(server) {
    this.#server = server;
  }

  /** `handler` gets the context and the arguments. */
  add(name, description, handler, members = {}) {
    this.#handlers.set(name, handler);
    this.#server.registerTool(name, { description, inputSchema: input(members) }, () => {});
  }

  /** Once all tools of the server are there. */
  install() {
    const { server } = this.#server;
    const usual = server._getRequestHandler('tools/call');
    server.setRequestHandler('tools/call', async (request, context) => {
      const handler = this.#handlers.get(request.params.name);
      return handler ? handler(context, request.params.arguments ?? {}) : usual(request, context);
    });
  }
}
