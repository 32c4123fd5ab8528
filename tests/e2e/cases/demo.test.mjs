// `portcullis demo` as people try it: what it prints holds, and a person with a real browser logs a client in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startDesktop } from '../clients/desktop.mjs';
import { picture, startChromium } from '../support/chromium.mjs';
import { demoOnce, places, startDemo, steps } from '../support/demo.mjs';
import { accepts, occupy } from '../support/ports.mjs';
import { processesNaming } from '../support/process.mjs';
import { until } from '../support/wait.mjs';

const PORTS = [8443, 9400, 3000, 9090];
const HOSTILE = `<img src=x onerror="window.ran=1"><script>window.ran=1</script><b>Notes</b>`;

// Everything that is started here keeps its temporary files here, and can be told by it.
const folder = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-demo-'));
process.env.TMPDIR = folder;
const leftBehind = () => readdirSync(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

function assertEveryStepHeld(text) {
  const made = steps(text);
  assert.deepEqual(made.filter(({ held }) => !held), [], text);
  const names = made.map(({ name }) => name);
  for (const name of ['log in and approve', 'tools/call whoami', 'call with a forged token', 'end the session']) {
    assert.ok(names.includes(name), `${name}: ${names}`);
  }
}

test('demo --once holds every step and leaves nothing behind', async () => {
  const text = await demoOnce();
  assertEveryStepHeld(text);
  assert.ok(places(text).files.startsWith(folder), 'files are in the temporary folder');
  assert.deepEqual(leftBehind(), []);
  assert.deepEqual(processesNaming(folder), []);
});

test('the demo takes free ports when its own are taken', async () => {
  const { taken, release } = await occupy(PORTS);
  try {
    const text = await demoOnce();
    assertEveryStepHeld(text);
    const { url, upstream, issuer, health } = places(text);
    const used = [url, upstream, issuer, health].map((place) => Number(new URL(place).port));
    assert.equal(new Set(used).size, 4, String(used));
    assert.deepEqual(used.filter((port) => taken.includes(port)), []);
  } finally {
    release();
  }
});

describe('a person with a browser', () => {
  let demo;
  let browser;
  before(async () => {
    demo = await startDemo();
    browser = await startChromium();
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  /** A client that wants to log in, and the consent page that its person sees. */
  async function visit(name, act) {
    const client = await startDesktop(demo.url, { authority: demo.authority, name, tool: 'whoami' });
    const page = await browser.context.newPage();
    try {
      const response = await page.goto(client.authorizationUrl.href);
      await act({ client, page, response });
    } finally {
      await page.close();
      await client.stop();
    }
  }

  /** Presses a button that leads back to the client, and gives the parameters that arrive there. */
  async function leave({ client, page }, button) {
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.waitForURL((url) => url.origin === client.redirectUri.origin);
    assert.equal(await page.getByRole('heading').textContent(), 'Back in the client');
    const url = new URL(page.url());
    assert.equal(url.pathname, client.redirectUri.pathname);
    const parameters = Object.fromEntries(url.searchParams);
    assert.equal(parameters.state, client.authorizationUrl.searchParams.get('state'));
    assert.equal(parameters.iss, demo.issuer);
    return parameters;
  }

  test('approves under another name, which the server sees', () => visit('Notes app', async (scene) => {
    const { client, page } = scene;
    await assertNames(page, 'Notes app', client);
    const field = page.getByRole('textbox', { name: 'Your name' });
    assert.equal(await field.inputValue(), 'alice');

    await field.fill('bob at globex');
    await page.getByRole('button', { name: 'Approve' }).click();
    assert.match(await page.locator('.wrong').textContent(), /^Not a name/);
    await field.fill('bob@globex');
    await picture(page, 'demo-consent');

    const { code, error } = await leave(scene, 'Approve');
    assert.ok(code);
    assert.equal(error, undefined);
    const { text } = await client.finish();
    assert.match(text, /^x-auth-subject: bob@globex$/m);
    assert.match(text, /^x-auth-tenant: globex$/m);
  }));

  test('denies, and the client gets nothing', () => visit('Notes app', async (scene) => {
    const { code, error } = await leave(scene, 'Deny');
    assert.equal(error, 'access_denied');
    assert.equal(code, undefined);
    assert.match((await scene.client.finish()).error, /access_denied|the person said no/);
  }));

  test('sees markup in a name as text, and no script runs', () => visit(HOSTILE, async ({ client, page, response }) => {
    await assertNames(page, HOSTILE, client);
    await picture(page, 'demo-consent-hostile');
    assert.equal(await page.locator('img, script, b').count(), 0);

    const policy = response.headers()['content-security-policy'];
    const form = `form-action 'self' ${client.redirectUri.origin}`;
    for (const part of ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", form]) {
      assert.ok(policy.includes(part), `${part}: ${policy}`);
    }
    // Even markup that got in would do nothing: the browser holds the page to its policy.
    await page.evaluate((markup) => {
      document.body.insertAdjacentHTML('beforeend', markup);
      document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }));
    }, HOSTILE);
    await page.waitForFunction(() => document.querySelector('body > img').complete);
    assert.equal(await page.evaluate(() => window.ran), undefined);
    // Its own style does apply.
    assert.notEqual(await page.locator('body').evaluate((body) => getComputedStyle(body).maxWidth), 'none');
  }));

  test('ends it all, and nothing is left behind', async () => {
    await browser.close();
    assert.ok(existsSync(demo.authority));
    assert.deepEqual(await demo.stop(), { code: 0, signal: null });
    assert.equal(existsSync(demo.files), false);
    assert.deepEqual(leftBehind(), []);
    await until('every process is gone', () => processesNaming(folder).length === 0);
    for (const place of [demo.url, demo.upstream, demo.issuer, demo.health]) {
      assert.equal(await accepts(new URL(place).port), false, place);
    }
  });
});

/** The consent page says who asks, and where an approval would go. */
async function assertNames(page, name, client) {
  assert.equal(await page.title(), 'Portcullis demo');
  assert.equal(await page.getByRole('heading').textContent(), `Let ${name} in?`);
  const details = await page.locator('dd').allTextContents();
  const { searchParams } = client.authorizationUrl;
  const [id, resource] = [searchParams.get('client_id'), searchParams.get('resource')];
  assert.deepEqual(details, [name, id, client.redirectUri.host, 'mcp:tools', resource]);
}
