// Answers for the OpenCost stand-in from memory, so that the collector is timed and not the
// stand-in's generator.
import https from 'node:https';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A TLS server with the stand-in's own certificate: forwards a request it has not seen, and repeats
 * the answer to one it has. `state` is the stand-in's state folder. Returns {url, forwarded,
 * close()}.
 */
export async function startReplay(standIn, state) {
  const read = name => readFileSync(join(state, 'pki', name), 'utf8');
  const agent = new https.Agent({ keepAlive: true, ca: read('ca.crt') });
  const answers = new Map(); // request target -> {status, headers, body}
  const replay = { forwarded: 0 };

  const forward = request =>
    new Promise((resolve, reject) => {
      ++replay.forwarded;
      https
        .get(
          standIn + request.url,
          { agent, headers: { authorization: request.headers.authorization } },
          answer => {
            const parts = [];
            answer.on('data', part => parts.push(part));
            answer.on('end', () =>
              resolve({
                status: answer.statusCode,
                body: Buffer.concat(parts),
                headers: { 'content-type': answer.headers['content-type'] },
              }),
            );
          },
        )
        .on('error', reject);
    });

  const server = https.createServer(
    { cert: read('server.crt'), key: read('server.key') },
    async (request, response) => {
      try {
        const answer = answers.get(request.url) ?? (await forward(request));
        if (answer.status === 200) answers.set(request.url, answer);
        response.writeHead(answer.status, {
          ...answer.headers,
          'content-length': answer.body.length,
        });
        response.end(answer.body);
      } catch (error) {
        response.writeHead(502).end(error.message);
      }
    },
  );
  await new Promise((resolve, reject) =>
    server.once('error', reject).listen(0, '127.0.0.1', resolve),
  );
  replay.url = `https://127.0.0.1:${server.address().port}`;
  replay.clear = () => {
    answers.clear();
    replay.forwarded = 0;
  };
  replay.close = () =>
    new Promise(resolve => {
      agent.destroy();
      server.close(resolve);
      server.closeAllConnections?.();
    });
  return replay;
}
