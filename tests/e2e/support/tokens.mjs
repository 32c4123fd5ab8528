// Requests to a token endpoint.

/** A token for a service, by the client credentials grant. `client` is one of `svc-acme` and `svc-globex`. */
export async function clientCredentials(issuer, resource, { client = 'svc-acme', scope = 'mcp:tools' } = {}) {
  const answer = await requestToken(issuer, { grant_type: 'client_credentials', scope, resource }, client);
  return answer.access_token;
}

/** What the endpoint answers to `form`; `client` authenticates itself when it is given. */
export async function requestToken(issuer, form, client) {
  const headers = client ? { authorization: `Basic ${btoa(`${client}:${client}-secret`)}` } : {};
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form), headers });
  const body = await response.json();
  if (!response.ok) throw new Error(`token request: ${response.status} ${JSON.stringify(body)}`);
  return body;
}
