// Where things are, relative to this folder.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** A file of `tests/e2e`. */
export const here = (name) => path.join(FOLDER, name);

export const PYTHON = here('.venv/bin/python');
export const GATEWAY = path.resolve(process.env.PORTCULLIS_BIN ?? here('../../target/debug/portcullis'));
export const CHROMIUM = process.env.PORTCULLIS_E2E_CHROMIUM ?? '/usr/bin/chromium';

/** Where pictures of pages are kept, if the run keeps anything. */
export const PICTURES = process.env.PORTCULLIS_E2E_PICTURES;

/**
 * A program in `folder` that can be named in `$BROWSER`: it logs in by itself. It returns at once, as a browser's
 * starter does, and uses the node that runs the tests.
 */
export function browserCommand(folder) {
  const file = path.join(folder, 'browser');
  const script = `#!/bin/sh\n"${process.execPath}" "${here('clients/browser-command.mjs')}" "$@" >/dev/null 2>&1 &\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}
