// A token is good for one resource only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession, post } from '../support/mcp.mjs';
import { startEverything } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({
  start: startEverything,
  routes: ({ upstream }) => [
    { name: 'one', path: '/one', upstream: upstream.url },
    { name: 'two', path: '/two', upstream: upstream.url },
  ],
});
const resource = (name) => `${cast.gateway.origin}/${name}`;

test('a token opens the route it was made for', async () => {
  await openSession(resource('one'), await cast.issuer.clientCredentials(resource('one')));
});

for (const [what, audience] of [
  ['another route', () => resource('two')],
  ['the whole origin', () => cast.gateway.origin],
  ['a longer path', () => `${resource('one')}/more`],
  ['another host', () => 'https://mcp.example.com/one'],
]) {
  test(`a token for ${what} is refused`, async () => {
    const token = await cast.issuer.clientCredentials(audience());
    const refusal = await post(resource('one'), { token });
    assert.equal(refusal.status, 401);
    const challenge = refusal.headers.get('www-authenticate');
    assert.match(challenge, /^Bearer .*error="invalid_token"/);
    const document = `${cast.gateway.origin}/.well-known/oauth-protected-resource/one`;
    assert.ok(challenge.includes(`resource_metadata="${document}"`), challenge);
    assert.equal((await refusal.json()).error, 'invalid_token');
  });
}

test('a token whose payload was changed is refused', async () => {
  const token = await cast.issuer.clientCredentials(resource('two'));
  const [header, payload, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, aud: resource('one') })).toString('base64url');
  const refusal = await post(resource('one'), { token: `${header}.${forged}.${signature}` });
  assert.equal(refusal.status, 401);
  assert.match(refusal.headers.get('www-authenticate'), /error="invalid_token"/);
});

test('no token is answered with where to get one, and no error', async () => {
  const refusal = await post(resource('one'));
  assert.equal(refusal.status, 401);
  const challenge = refusal.headers.get('www-authenticate');
  assert.match(challenge, /^Bearer /);
  assert.doesNotMatch(challenge, /error/);
  const document = await (await fetch(/resource_metadata="([^"]+)"/.exec(challenge)[1])).json();
  assert.equal(document.resource, resource('one'));
  assert.deepEqual(document.authorization_servers, [cast.issuer.url]);
});
