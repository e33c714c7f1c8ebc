/// Pictures for uploads, and the forms they come in. Node's standard library only; its FormData,
/// which writes the forms, is undici's.
import { crc32, deflateSync } from 'node:zlib';
import { createHash } from 'node:crypto';

const TABLE = new Int32Array(256).map((_, n) => {
  for (let k = 0; k < 8; ++k) n = n & 1 ? -306674912 ^ (n >>> 1) : n >>> 1;
  return n;
});
const crc = crc32 ?? ((bytes) => {
  let out = -1;
  for (const byte of bytes) out = TABLE[(out ^ byte) & 255] ^ (out >>> 8);
  return (out ^ -1) >>> 0;
});

const chunk = (type, data) => {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
};

/// A PNG of one colour; `size` bytes long when that is given and possible.
export function png({ width = 64, height = 64, colour = [200, 30, 30], size, claimed } = {}) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(claimed?.width ?? width, 0);
  head.writeUInt32BE(claimed?.height ?? height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from(colour))]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  const parts = [Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', rows)];
  const end = chunk('IEND', Buffer.alloc(0));
  const missing = size === undefined ? 0
    : size - parts.concat(end).reduce((sum, part) => sum + part.length, 0);
  if (missing > 12) parts.push(chunk('prIv', Buffer.alloc(missing - 12)));
  return Buffer.concat([...parts, end]);
}

/// {body, headers} of the form, as a browser writes it.
export async function form(fields) {
  const data = new FormData();
  for (const [name, value, filename] of fields)
    if (filename === undefined) data.append(name, value);
    else data.append(name, new Blob([value], { type: 'image/png' }), filename);
  const answer = new Response(data);
  return {
    body: Buffer.from(await answer.arrayBuffer()),
    headers: { 'Content-Type': answer.headers.get('content-type') },
  };
}

/// Width and height of a WebP, of whatever kind.
export function sizeOf(webp) {
  const kind = webp.toString('latin1', 12, 16);
  if (kind === 'VP8 ') return [webp.readUInt16LE(26) & 0x3fff, webp.readUInt16LE(28) & 0x3fff];
  if (kind === 'VP8L') {
    const bits = webp.readUInt32LE(21);
    return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
  }
  return [webp.readUIntLE(24, 3) + 1, webp.readUIntLE(27, 3) + 1];
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
