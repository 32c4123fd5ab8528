// What an OAuth client remembers, and how it asks its user to log in. Both TypeScript SDKs accept this object.
import { randomUUID } from 'node:crypto';
import { logIn } from '../support/browser.mjs';

// Nobody listens here: the login ends when the browser is sent to it.
const REDIRECT = 'http://127.0.0.1:9/callback';

export class Credentials {
  /** `open` shows a page to the user and gives the URL at which the user came back. */
  constructor({ login = 'alice@acme', name = 'e2e', redirect = REDIRECT, open = (url) => logIn(url, { login }) } = {}) {
    this.open = open;
    this.logins = 0;
    this.redirectUrl = redirect;
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  clientInformation() { return this.information; }
  saveClientInformation(information) { this.information = information; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  discoveryState() { return this.discovered; }
  saveDiscoveryState(discovered) { this.discovered = discovered; }
  state() { return this.expectedState ??= randomUUID(); }

  async redirectToAuthorization(url) {
    this.logins += 1;
    this.authorizationUrl = url;
    this.callback = await this.open(url);
  }
}
