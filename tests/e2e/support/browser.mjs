// A person with a browser: opens the authorization URL, logs in, agrees, and is sent back to the client.
const MAX_PAGES = 12;

/**
 * Walks through login and consent as `login`. Gives the URL that the authorization server sends the browser back to;
 * with `visit` that URL is opened too, as a browser would.
 */
export async function logIn(authorizationUrl, { login = 'alice@acme', visit = false } = {}) {
  const cookies = new Map();
  const start = new URL(authorizationUrl);
  const home = new URL(start.searchParams.get('redirect_uri'));
  let request = { url: start, method: 'GET' };
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const response = await open(request, cookies);
    const location = response.headers.get('location');
    if (location) {
      const url = new URL(location, request.url);
      await response.arrayBuffer();
      if (url.origin === home.origin && url.pathname === home.pathname) {
        if (visit) await (await fetch(url)).text();
        return url;
      }
      request = { url, method: 'GET' };
    } else {
      request = submit(await response.text(), response.status, request.url, login);
    }
  }
  throw new Error(`no way back to ${home.href} after ${MAX_PAGES} pages`);
}

async function open({ url, method, body }, cookies) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(url, { method, body, redirect: 'manual', headers: cookie ? { cookie } : {} });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (value === '') cookies.delete(name);
    else cookies.set(name, value);
  }
  return response;
}

/** Fills the one form of a page of oidc-provider. */
function submit(html, status, base, login) {
  const action = /<form[^>]*\saction="([^"]*)"/.exec(html)?.[1];
  const prompt = /name="prompt" value="([^"]*)"/.exec(html)?.[1];
  if (!action || !prompt) throw new Error(`no form on the page (${status}):\n${html.slice(0, 2000)}`);
  const form = { prompt };
  if (prompt === 'login') Object.assign(form, { login, password: 'any' });
  return { url: new URL(action, base), method: 'POST', body: new URLSearchParams(form) };
}
