// The authorization server in a process of its own, which can be killed: node standalone_issuer.mjs PORT
import { startIssuer } from './issuer.mjs';

const issuer = await startIssuer({ port: Number(process.argv[2]) });
console.log(`listening at ${issuer.url}`);
