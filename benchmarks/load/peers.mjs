// The three servers that GET /api/usage is compared with. Each is {name, port, start(), stop(),
// pids()}.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, start, stop, waitUntilReady } from './processes.mjs';

const peersFolder = fileURLToPath(new URL('../peers/', import.meta.url));

// The peers' own servers write these; all others are copied from the service's answer, so that
// every candidate sends about the same number of bytes.
const ownHeaders = new Set([
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'server',
  'set-cookie',
  'transfer-encoding',
]);

/** Writes the service's answer where nginx and the Beast peer read it. */
export function saveAnswer(answer, workDir) {
  const folder = join(workDir, 'answer');
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const headers = [...answer.headers].filter(([name]) => !ownHeaders.has(name));
  writeFileSync(join(folder, 'body.json'), answer.body);
  writeFileSync(
    join(folder, 'headers.txt'),
    headers.map(([name, value]) => `${name}: ${value}\n`).join(''),
  );
  return { folder, headers };
}

class Peer {
  constructor(name, token) {
    this.name = name;
    this.token = token;
  }
  pids() {
    return [this.child.pid];
  }
  stop() {
    return stop(this.child);
  }

  async launch(command, args, options = {}) {
    this.child = start(command, args, options);
    await waitUntilReady(this.child, `http://127.0.0.1:${this.port}/api/usage`, 20, {
      authorization: `Bearer ${this.token}`,
    });
  }
}

export class Nginx extends Peer {
  constructor(saved, token, workDir) {
    super('nginx', token);
    this.saved = saved;
    this.folder = join(workDir, 'nginx');
  }

  async start() {
    this.port = await freePort();
    mkdirSync(this.folder, { recursive: true });
    const file = join(this.folder, 'nginx.conf');
    writeFileSync(file, this.configuration());
    await this.launch('/usr/sbin/nginx', [
      '-p',
      this.folder,
      '-c',
      file,
      '-e',
      join(this.folder, 'error.log'),
    ]);
  }

  configuration() {
    // nginx makes its own ETag, from the file; "$" would begin a variable.
    const headers = this.saved.headers
      .filter(([name, value]) => name !== 'etag' && !value.includes('$'))
      .map(([name, value]) => `      add_header ${name} "${value.replace(/["\\]/g, '\\$&')}";`)
      .join('\n');
    return `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 2;
worker_rlimit_nofile 16384;
pid nginx.pid;
events { worker_connections 8192; }
http {
  access_log access.log combined buffer=64k flush=1s;
  client_body_temp_path temp_body; proxy_temp_path temp_proxy; fastcgi_temp_path temp_fastcgi;
  uwsgi_temp_path temp_uwsgi; scgi_temp_path temp_scgi;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  open_file_cache max=16 inactive=1h; open_file_cache_valid 1h;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${this.port} backlog=4096;
    location = /api/usage {
      default_type application/json;
      alias ${this.saved.folder}/body.json;
${headers}
    }
  }
}
`;
  }
}

export class Beast extends Peer {
  constructor(saved, token, binary) {
    super('plain Beast', token);
    this.saved = saved;
    this.binary = binary;
  }

  async start() {
    this.port = await freePort();
    const { folder } = this.saved;
    await this.launch(this.binary, [
      String(this.port),
      join(folder, 'body.json'),
      join(folder, 'headers.txt'),
    ]);
  }
}

export class Fastify extends Peer {
  /**
   * `cached`: it keeps each user's answer for a second instead of asking the database every time.
   */
  constructor(service, token, workDir, { cached = false } = {}) {
    super(cached ? 'Fastify, cached' : 'Fastify', token);
    this.service = service;
    this.databasePid = service.databasePid;
    this.cached = cached;
    this.workDir = workDir;
  }

  async start() {
    this.port = await freePort();
    const keys = JSON.parse((await this.service.request('/.well-known/jwks.json')).body);
    const name = this.cached ? 'fastify-cached' : 'fastify';
    await this.launch(process.execPath, [join(peersFolder, 'fastify', 'server.mjs')], {
      log: join(this.workDir, `${name}.log`),
      env: {
        ...this.service.postgres.env,
        NODE_ENV: 'production',
        PORT: String(this.port),
        JWKS: JSON.stringify(keys),
        ACCESS_LOG: join(this.workDir, `${name}-access.log`),
        CACHE_MS: this.cached ? '1000' : '0',
      },
    });
  }
}
