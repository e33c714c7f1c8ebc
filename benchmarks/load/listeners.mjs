// What a listener of GET /api/events costs, and how soon the last of many hears of a commit.
import { createConnection } from 'node:net';
import { residentBytes, sleep } from './processes.mjs';
import { userTokens } from './sessions.mjs';
import { inParallel } from './wire.mjs';

/** Opens a stream and resolves when it is `ready`; `heard` is called at each event after that. */
function listen(port, from, token, heard) {
  return new Promise((done, failed) => {
    const socket = createConnection({ port, host: '127.0.0.1', localAddress: from });
    let ready = false;
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('a stream ended')));
    socket.on('data', part => {
      if (ready) return heard();
      const text = part.toString('latin1');
      if (!text.startsWith('HTTP/1.1 200') && !text.includes('event: ready'))
        return failed(new Error(`a stream was answered ${text.slice(0, 60)}`));
      if (!text.includes('event: ready')) return;
      ready = true;
      done(socket);
    });
    socket.write(`GET /api/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  });
}

/** {bytes, notified}: resident bytes each listener adds, and seconds from commit to the last one. */
export async function measureListeners(service, count, say) {
  await service.start({
    BINNACLE_HTTP_MAX_CONNECTIONS: '20000',
    BINNACLE_HTTP_MAX_CONNECTIONS_PER_ADDRESS: '20000',
  });
  const warmUp = 100;
  const tokens = await userTokens(service, count + warmUp);
  const sockets = [];
  let last = 0;
  let heard = 0;
  const open = async index => {
    const from = `127.0.2.${1 + (index % 100)}`;
    sockets.push(
      await listen(service.port, from, tokens[index], () => {
        heard += 1;
        last = performance.now();
      }),
    );
  };
  await inParallel(warmUp, 32, open); // what grows once is no listener's cost
  await sleep(1000);
  const before = residentBytes(service.pid);
  await inParallel(count, 32, index => open(index + warmUp));
  await sleep(2000);
  const bytes = (residentBytes(service.pid) - before) / count;
  say(`  listener: ${Math.round(bytes)} bytes`);

  const times = [];
  for (let round = 0; round < 5; ++round) {
    heard = 0;
    const began = performance.now();
    await service.postgres.sql("SELECT pg_notify('binnacle_changes', 'prices:')");
    for (const end = Date.now() + 30_000; heard < sockets.length && Date.now() < end; ) await sleep(20);
    if (heard !== sockets.length) throw new Error(`${heard} of ${sockets.length} listeners heard`);
    times.push((last - began) / 1000);
    await sleep(500);
  }
  for (const socket of sockets) {
    socket.removeAllListeners('close');
    socket.destroy();
  }
  await service.stop();
  return { bytes, notified: times.sort((a, b) => a - b)[2] };
}
