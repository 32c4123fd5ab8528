// A real browser, without a window and with a profile of its own, driven by playwright-core.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { CHROMIUM, PICTURES } from './places.mjs';

// It must not talk to anybody but the pages under test.
const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** Starts Chromium; `close` ends it and removes its profile. */
export async function startChromium() {
  const profile = mkdtempSync(path.join(tmpdir(), 'portcullis-e2e-chromium-'));
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      // Chromium refuses to be root in its own sandbox.
      chromiumSandbox: process.getuid() !== 0,
      args: QUIET,
      env: { ...process.env, HOME: profile },
    });
    context.setDefaultTimeout(20_000);
    return { context, close: () => context.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Keeps a picture of the page beside the results of the run, if there are any. */
export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}
