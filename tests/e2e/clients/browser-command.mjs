// What programs start as `$BROWSER URL`: a person who logs in and lets the browser go where it is sent.
import { logIn } from '../support/browser.mjs';

await logIn(process.argv.at(-1), { visit: true });
