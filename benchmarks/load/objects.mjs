// The object proxy against nginx serving the same files: `node benchmarks/load/objects.mjs
// [--binary FILE] [--seconds N] [--rounds N]` prints one table per size.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './measure.mjs';
import { cpuSeconds, freePort, run, start, stopAll, waitUntilReady } from './processes.mjs';
import { Service } from './service.mjs';

const sizes = { 'avatar, 12 KB': 12_000, 'picture, 300 KB': 300_000, 'video, 8 MB': 8_000_000 };
const connections = 32;

function nginxFor(folder, port) {
  return `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off; worker_processes 2; pid nginx.pid;
events { worker_connections 8192; }
http {
  access_log access.log combined buffer=64k flush=1s;
  client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
  types { image/webp webp; }
  sendfile on; tcp_nopush on; tcp_nodelay on;
  open_file_cache max=256 inactive=1h; open_file_cache_valid 60s;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /r2/ { alias ${folder}/; add_header Cache-Control "public, max-age=31536000, immutable"; }
  }
}
`;
}

/** wrk's requests per second, and what one costs the server. */
async function load({ port, pid, without = [] }, path, seconds) {
  const before = cpuSeconds([pid], without);
  const said = await run('wrk', ['-t', '2', '-c', `${connections}`, '-d', `${seconds}s`, '--timeout', '20s',
    `http://127.0.0.1:${port}${path}`], { seconds: seconds + 30 });
  const requests = Number(/(\d+) requests in/.exec(said)[1]);
  if (/Non-2xx|Socket errors/.test(said)) throw new Error(said);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(said)[1]);
  return { rate, cost: ((cpuSeconds([pid], without) - before) / requests) * 1e6 };
}

const { values } = parseArgs({ options: {
  binary: { type: 'string', default: fileURLToPath(new URL('../../build/release/binnacle', import.meta.url)) },
  seconds: { type: 'string', default: '3' },
  rounds: { type: 'string', default: '3' },
} });
const workDir = mkdtempSync(join(tmpdir(), 'binnacle-objects-'));
chmodSync(workDir, 0o755);
try {
  const service = new Service({ binary: values.binary, workDir });
  await service.start({ BINNACLE_LOG_ACCESS_FILE: join(workDir, 'access.log') });
  const folder = join(service.dataDir, 'objects/avatars');
  mkdirSync(folder, { recursive: true });
  const nginx = { port: await freePort() };
  const config = join(workDir, 'nginx.conf');
  writeFileSync(config, nginxFor(folder, nginx.port));
  for (const [name, size] of Object.entries(sizes))
    writeFileSync(join(folder, `${size}.webp`), Buffer.alloc(size, name));
  const child = start('/usr/sbin/nginx', ['-p', workDir, '-c', config, '-e', join(workDir, 'error.log')]);
  nginx.pid = child.pid;
  await waitUntilReady(child, `http://127.0.0.1:${nginx.port}/r2/12000.webp`, 20);
  const binnacle = { port: service.port, pid: service.pid, without: [service.databasePid] };
  for (const [name, size] of Object.entries(sizes)) {
    const found = { binnacle: [], nginx: [] };
    for (let round = 0; round < Number(values.rounds); ++round)
      for (const [who, server] of Object.entries({ binnacle, nginx }))
        found[who].push(await load(server, `/r2/${size}.webp`, Number(values.seconds)));
    const of = (who, what) => median(found[who].map(each => each[what]));
    console.log(`\n${name}, ${connections} connections\n\n| server | requests/s | CPU µs/req |\n|---|--:|--:|`);
    for (const who of Object.keys(found))
      console.log(`| ${who} | ${Math.round(of(who, 'rate')).toLocaleString('en')} | ${of(who, 'cost').toFixed(1)} |`);
    console.log(`\nbinnacle is ${(of('binnacle', 'rate') / of('nginx', 'rate')).toFixed(2)}× in requests, ` +
      `${(of('nginx', 'cost') / of('binnacle', 'cost')).toFixed(2)}× in requests per CPU second`);
  }
  await service.stop();
} finally {
  await stopAll();
  rmSync(workDir, { recursive: true, force: true });
}
