// The authorization server: npm oidc-provider, on loopback, with dynamic registration, resource indicators and JWTs.
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { sharedMemory } from './memory.mjs';
import { freePort } from './ports.mjs';
import { clientCredentials, requestToken } from './tokens.mjs';

const UNALTERED = 'x-unaltered';
const SCOPES = 'mcp:tools mcp:read mcp:write mcp:admin';

/** Starts an authorization server whose keys can be exchanged while it runs. */
export async function startIssuer({ tokenLifetime = 300, algorithm = 'RS256', tenantOf = tenantByName, port } = {}) {
  port ??= await freePort();
  const url = `http://127.0.0.1:${port}`;
  const minted = new Set();
  const settings = { url, tokenLifetime, algorithm, tenantOf, minted, adapter: sharedMemory() };

  let keys = [newKey(algorithm)];
  let answer = newProvider(settings, keys).callback();
  const server = http.createServer((request, response) => {
    if (request.url === '/jwks') issuer.keysFetched = Date.now();
    if (issuer.alter && request.method === 'GET' && !request.headers[UNALTERED]) altered(issuer, request, response);
    else answer(request, response);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));

  const issuer = {
    url,
    /** Every token that was handed out: none of them may turn up in a log. */
    minted,

    /** Makes another answer of the one to a GET request: gets and gives `{ path, status, headers, text }`. */
    alter: undefined,

    /** When the key set was asked for last, in milliseconds. */
    keysFetched: 0,

    /** Signs with a new key from now on. The old ones stay in the published set if `keepOld`. */
    rotate({ keepOld = true } = {}) {
      keys = [newKey(algorithm), ...(keepOld ? keys : [])];
      answer = newProvider(settings, keys).callback();
      return keys[0].kid;
    },

    /** A token for a service: see `support/tokens.mjs`. */
    clientCredentials: (resource, options) => clientCredentials(url, resource, options),

    /** New tokens for a client that holds a refresh token. */
    async refresh({ client_id, client_secret }, refreshToken, resource) {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id, resource };
      if (client_secret) form.client_secret = client_secret;
      return requestToken(url, form);
    },

    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}

/** Asks itself for the true answer, and gives what becomes of it. */
async function altered(issuer, request, response) {
  const found = await fetch(issuer.url + request.url, { headers: { [UNALTERED]: 'yes' }, redirect: 'manual' });
  const headers = Object.fromEntries(found.headers);
  for (const name of ['content-length', 'transfer-encoding', 'connection', 'keep-alive']) delete headers[name];
  const { status, headers: given, text } = issuer.alter({ path: request.url, status: found.status, headers, text: await found.text() });
  response.writeHead(status, given).end(text);
}

function tenantByName(name) {
  return name.endsWith('globex') ? 'globex' : 'acme';
}

function newKey(algorithm) {
  const { privateKey } = algorithm.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm };
}

/** Its keys are fixed when it is made; what it remembers is not its own, so that a successor can take over. */
function newProvider({ url, tokenLifetime, algorithm, tenantOf, minted, adapter }, keys) {
  const service = (id) => ({
    client_id: id,
    client_secret: `${id}-secret`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  });
  const provider = new Provider(url, {
    adapter,
    jwks: { keys },
    clients: [service('svc-acme'), service('svc-globex')],
    scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
    // Otherwise RS256, for which there may be no key.
    clientDefaults: { id_token_signed_response_alg: algorithm },
    pkce: { required: () => true },
    clientBasedCORS: () => true,
    cookies: { keys: ['only for tests'] },
    ttl: {
      AccessToken: () => tokenLifetime, ClientCredentials: () => tokenLifetime,
      Grant: 3600, Session: 3600, Interaction: 600, RefreshToken: 3600, IdToken: 600,
    },
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: async (_context, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    extraTokenClaims: async (_context, token) => ({ tenant: tenantOf(token.accountId ?? token.clientId) }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      registration: { enabled: true, initialAccessToken: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_context, resource) => ({
          scope: SCOPES, audience: resource, accessTokenTTL: tokenLifetime,
          accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
  provider.use(async (context, next) => {
    if (context.path === '/reg' && context.method === 'POST') context.req.body = await registration(context.req);
    await next();
    for (const member of ['access_token', 'refresh_token', 'id_token']) {
      if (context.path === '/token' && context.body?.[member]) minted.add(context.body[member]);
    }
  });
  return provider;
}

/** Clients register with the scope of the first challenge, and this server would hold them to it for ever. */
async function registration(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { scope: _dropped, ...metadata } = JSON.parse(text);
  return metadata;
}
