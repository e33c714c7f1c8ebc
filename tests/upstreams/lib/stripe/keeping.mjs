import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';

/// What is in the state directory: the key, and the account from one start to the next.

const QUIET_MS = 1000;

/// The key in DIR/secret-key, made when there is none; without a directory a new one.
export function loadKey(directory, given) {
  const fresh = () => given ?? `sk_test_${randomBytes(16).toString('hex')}`;
  if (!directory) return fresh();
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'secret-key');
  if (given || !existsSync(file)) writeFileSync(file, `${fresh()}\n`, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/// Writes the parts' snapshots when nothing was asked for a second, and at the end: a storm of
/// requests never waits for the disk.
export class Keeper {
  #timer = null;

  constructor(directory, parts) {
    Object.assign(this, { file: directory && join(directory, 'account'), parts });
  }

  restore() {
    if (!this.file || !existsSync(this.file)) return;
    const kept = deserialize(readFileSync(this.file));
    for (const [name, part] of Object.entries(this.parts)) part.restore(kept[name]);
  }

  touch() {
    if (!this.file) return;
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.save(), QUIET_MS);
  }

  save() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.file) return;
    const kept = Object.fromEntries(
      Object.entries(this.parts).map(([name, part]) => [name, part.snapshot()]),
    );
    writeFileSync(`${this.file}.new`, serialize(kept), { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }
}
