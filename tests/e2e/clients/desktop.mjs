// The TypeScript SDK as a program on a person's desk uses it: it opens a browser and listens for its return.
import { Process } from '../support/process.mjs';
import { here } from '../support/places.mjs';
import { GaveUp, until } from '../support/wait.mjs';

/**
 * Starts the program in a process of its own, which trusts `authority`. It calls itself `name`, calls `tool` once it is
 * logged in, and ends. `authorizationUrl` is what it wants opened; `finish` gives `{ text }` or `{ error }`.
 */
export async function startDesktop(url, { authority, name, tool }) {
  const args = [here('clients/desktop_client.mjs'), url, name, tool];
  const desktop = new Process('desktop client', process.execPath, args, {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: authority },
  });
  const said = (line) => JSON.parse(desktop.stdout.split('\n')[line]);
  const authorizationUrl = await until('the client asks for a browser', () => {
    if (desktop.over) throw new GaveUp(`the client ended at once:\n${desktop.output}`);
    return desktop.stdout.includes('\n') && new URL(said(0).open);
  });
  return {
    authorizationUrl,
    redirectUri: new URL(authorizationUrl.searchParams.get('redirect_uri')),
    async finish() {
      await desktop.finish();
      return said(1);
    },
    stop: () => desktop.stop(),
  };
}
