// A collector of telemetry, which can be killed: takes everything and says how much. node collector.mjs PORT
import http from 'node:http';

http.createServer((request, response) => {
  request.resume().on('end', () => {
    console.log(`taken ${request.url}`);
    response.writeHead(200).end();
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
