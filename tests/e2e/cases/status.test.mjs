// The page that operators look at, in a real browser: whole, quiet, and readable in light and dark.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { picture, startChromium } from '../support/chromium.mjs';
import { startConformance } from '../support/upstreams.mjs';
import { world } from '../support/world.mjs';

const cast = world({ start: startConformance, routes: ({ upstream }) => [{ name: 'conformance', upstream: upstream.url }] });

// Made by the first test: hooks of one file do not wait for each other.
let browser;
async function opened() {
  if (!browser) {
    browser = await startChromium();
    for (const target of [cast.gateway.url, cast.gateway.url, `${cast.gateway.origin}/nowhere`]) await fetch(target, { method: 'POST' });
  }
  return browser.context.newPage();
}
after(() => browser?.close());

for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 390]]) {
  test(`the status page shows what there is (${scheme}, ${width} wide)`, async () => {
    const page = await opened();
    const said = [];
    const asked = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('request', (request) => asked.push(request.url()));
    try {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      await page.goto(`${cast.gateway.admin}/status`);
      assert.equal(await page.title(), 'Portcullis: ready');
      for (const heading of ['Configuration', 'Routes', 'Issuers', 'Refusals', 'Limits']) {
        assert.ok(await page.getByRole('heading', { name: heading, exact: true }).isVisible(), heading);
      }
      assert.ok(await page.getByRole('cell', { name: 'auth.missing' }).isVisible());
      const row = page.getByRole('row').filter({ hasText: cast.gateway.url });
      assert.match(await row.innerText(), /conformance[^]*ready/);
      const [ground, ink] = await page.evaluate(() => {
        const style = getComputedStyle(document.body);
        return [style.backgroundColor, style.color].map((color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0));
      });
      assert.ok(scheme === 'light' ? ground - ink > 400 : ink - ground > 400, `the style is in force: ${ground} ${ink}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, 'the page itself never scrolls sideways');
      await picture(page, `status-${scheme}-${width}`);
    } finally {
      await page.close();
    }
    assert.deepEqual(said, [], 'nothing to complain of');
    assert.deepEqual(asked.filter((url) => !url.endsWith('/favicon.ico')), [`${cast.gateway.admin}/status`]);
  });
}
