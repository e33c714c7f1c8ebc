/// Binnacle with the stand-in for R2 beside it.
import assert from 'node:assert/strict';
import { startR2 } from '../upstreams/r2.mjs';

class StandIn {
  constructor(server) { this.server = server; }
  get env() {
    return {
      R2_ENDPOINT: this.server.url,
      R2_ACCESS_KEY_ID: this.server.key.accessKeyId,
      R2_SECRET_ACCESS_KEY: this.server.key.secretAccessKey,
      R2_AVATARS: 'pictures',
      R2_AI_IMAGES: 'drawn',
      BINNACLE_R2_TIMEOUT: '2s',
    };
  }
  async command(method, path, body) {
    const answer = await fetch(`${this.server.control}${path}`,
      { method, body: body && JSON.stringify(body) });
    const json = await answer.json();
    assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(json)}`);
    return json;
  }
  objects() { return this.command('GET', '/objects'); }
  put(name, type, bytes) {
    return this.command('POST', '/objects', { name, type, base64: Buffer.from(bytes).toString('base64') });
  }
  /// An object of `size` bytes, each four of them their number.
  generate(name, type, size) { return this.command('POST', '/objects', { name, type, size }); }
  fault(...faults) { return this.command('POST', '/faults', faults); }
  noFaults() { return this.command('DELETE', '/faults'); }
  /// "PUT 200", … since `forget`.
  async calls() {
    return (await this.command('GET', '/requests')).map((r) => `${r.method} ${r.status}`);
  }
  /// All of them: {method, url, status, range}; of bodies, how many bytes were `sent`, and their `end`:
  /// whole or cut.
  requests() { return this.command('GET', '/requests'); }
  forget() { return this.command('DELETE', '/requests'); }
  close() { return this.server.close(); }
}

export async function startStandIn() { return new StandIn(await startR2()); }
