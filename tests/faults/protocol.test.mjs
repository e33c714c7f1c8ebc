/// HTTP/1.1 as attackers and odd clients speak it, over raw sockets (reliability.md §4).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually, installation } from './harness.mjs';

const HOST = 'Host: localhost\r\n';
const SMUGGLED = `GET /version HTTP/1.1\r\n${HOST}\r\n`;
const LOGIN = '/api/auth/login';
const MAX_BODY = 2_048;

describe('protocol', { timeout: 600_000 }, () => {
  const cleanups = [];
  let service;

  before(async () => {
    const home = installation({ after: (f) => cleanups.push(f) }, {
      BINNACLE_HTTP_MAX_BODY_BYTES: String(MAX_BODY),
      BINNACLE_HTTP_HEADER_TIMEOUT: '2s',
      BINNACLE_HTTP_BODY_TIMEOUT: '2s',
    });
    service = await home.serve();
  });
  after(() => cleanups.forEach((f) => f()));

  const head = (lines, start = `POST ${LOGIN} HTTP/1.1`) =>
    [start, 'Host: localhost', 'Content-Type: application/json', ...lines, '', ''].join('\r\n');
  const one = { until: (answers) => answers.length === 1 && answers[0].status >= 200 };

  /// One answer of that status, then the end, and nothing of what stood behind is served.
  async function refused(bytes, ...statuses) {
    const got = await service.raw(bytes + SMUGGLED);
    const shown = JSON.stringify(got.text.slice(0, 300));
    assert.equal(got.answers.length, 1, `${got.answers.length} answers: ${shown}`);
    assert.ok(statuses.includes(got.answers[0].status), `${got.answers[0].status} ${shown}`);
    assert.equal(got.answers[0].headers.connection, 'close');
    assert.ok(got.closed, 'still open');
    assert.ok(got.answers[0].json?.error, `no error body: ${shown}`);
    for (const name of ['x-request-id', 'date', 'strict-transport-security', 'x-frame-options',
      'x-content-type-options', 'referrer-policy', 'permissions-policy']) {
      assert.ok(got.answers[0].headers[name], `without ${name}`);
    }
    return got;
  }

  /// The body arrives: the field that is missing is named, so what was sent can be told.
  const login = (name) => JSON.stringify({ [name]: 'someone' });
  const missing = (answer) => {
    assert.equal(answer.status, 400, answer.body);
    return answer.json.error.details.fields;
  };

  describe('framing', () => {
    const chunked = '5\r\nhello\r\n0\r\n\r\n';
    const cases = {
      'content-length, then chunked': [['Content-Length: 5', 'Transfer-Encoding: chunked'], chunked, 400],
      'chunked, then content-length': [['Transfer-Encoding: chunked', 'Content-Length: 5'], chunked, 400],
      'content-length 0, then chunked': [['Content-Length: 0', 'Transfer-Encoding: chunked'], chunked, 400],
      'chunked, then content-length 0': [['Transfer-Encoding: chunked', 'Content-Length: 0'], chunked, 400],
      'xchunked, then content-length': [['Transfer-Encoding: xchunked', 'Content-Length: 5'], 'hello', 400],
      'content-length, then xchunked': [['Content-Length: 5', 'Transfer-Encoding: xchunked'], 'hello', 400],
      'chunked, identity with content-length': [['Transfer-Encoding: chunked, identity', 'Content-Length: 5'], 'hello', 400],
      'quoted chunked with content-length': [['Transfer-Encoding: "chunked"', 'Content-Length: 5'], 'hello', 400],
      'identity with content-length': [['Transfer-Encoding: identity', 'Content-Length: 5'], 'hello', 400],
      'empty transfer-encoding with content-length': [['Transfer-Encoding:', 'Content-Length: 5'], 'hello', 400, 501],
      'xchunked alone': [['Transfer-Encoding: xchunked'], chunked, 400, 501],
      'chunked, identity': [['Transfer-Encoding: chunked, identity'], chunked, 400, 501],
      'identity alone': [['Transfer-Encoding: identity'], '', 400, 501],
      'gzip alone': [['Transfer-Encoding: gzip'], 'hello', 400, 501],
      'gzip, chunked': [['Transfer-Encoding: gzip, chunked'], chunked, 400, 501],
      'chunked, chunked': [['Transfer-Encoding: chunked, chunked'], chunked, 400, 501],
      'chunked twice': [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked, 400, 501],
      'identity, then chunked': [['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], chunked, 400, 501],
      'chunked, then identity': [['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked, 400, 501],
      'chunked;parameter': [['Transfer-Encoding: chunked;q=1'], chunked, 400, 501],
      'vertical tab before chunked': [['Transfer-Encoding: \x0bchunked'], chunked, 400, 501],
      'space before the colon': [['Transfer-Encoding : chunked'], chunked, 400],
      'tab before the colon': [['Transfer-Encoding\t: chunked'], chunked, 400],
      'space before the name': [[' Transfer-Encoding: chunked'], chunked, 400],
      'folded transfer-encoding': [['Transfer-Encoding:\r\n chunked'], chunked, 400, 501],
      'folded transfer-encoding with content-length': [['Content-Length: 5', 'Transfer-Encoding:\r\n chunked'], 'hello', 400],
      'content-length twice, different': [['Content-Length: 5', 'Content-Length: 6'], 'hello!', 400],
      'content-length twice, equal': [['Content-Length: 5', 'Content-Length: 5'], 'hello', 400],
      'content-length 5,6': [['Content-Length: 5,6'], 'hello', 400],
      'content-length +5': [['Content-Length: +5'], 'hello', 400],
      'content-length -1': [['Content-Length: -1'], '', 400],
      'content-length 0x5': [['Content-Length: 0x5'], 'hello', 400],
      'content-length 5 5': [['Content-Length: 5 5'], 'hello', 400],
      'content-length 5.0': [['Content-Length: 5.0'], 'hello', 400],
      'content-length empty': [['Content-Length:'], 'hello', 400],
      'content-length over 64 bits': [['Content-Length: 18446744073709551617'], 'h', 400, 413],
      'content-length over 63 bits': [['Content-Length: 18446744073709551615'], 'h', 400, 413],
      'chunk size 0x5': [['Transfer-Encoding: chunked'], '0x5\r\nhello\r\n0\r\n\r\n', 400],
      'chunk size -1': [['Transfer-Encoding: chunked'], '-1\r\nhello\r\n0\r\n\r\n', 400],
      'chunk size over 64 bits': [['Transfer-Encoding: chunked'], '10000000000000005\r\nhello\r\n0\r\n\r\n', 400, 413],
      'chunk size near 2^64': [['Transfer-Encoding: chunked'], '5\r\nhello\r\nfffffffffffffffe\r\nx', 400, 413],
      'chunk without a size': [['Transfer-Encoding: chunked'], '\r\nhello\r\n0\r\n\r\n', 400],
      'chunk longer than it says': [['Transfer-Encoding: chunked'], '3\r\nhello\r\n0\r\n\r\n', 400],
      'LF in a chunk extension': [['Transfer-Encoding: chunked'], '5;a\nb\r\nhello\r\n0\r\n\r\n', 400],
      'long chunk extension': [['Transfer-Encoding: chunked'], `5;a=${'x'.repeat(300)}\r\nhello\r\n0\r\n\r\n`, 400],
    };
    for (const [name, [lines, body, ...statuses]] of Object.entries(cases)) {
      it(`refuses ${name}`, () => refused(head(lines) + body, ...statuses));
    }

    it('refuses chunked in HTTP/1.0', () =>
      refused(head(['Transfer-Encoding: chunked'], `POST ${LOGIN} HTTP/1.0`) + chunked, 400));

    it('refuses a request framed in two ways that comes byte by byte', async () => {
      const bytes = head(['Transfer-Encoding: chunked', 'Content-Length: 5']) + SMUGGLED;
      const got = await service.raw([...bytes], { pause: 0 });
      assert.deepEqual(got.answers.map((a) => a.status), [400]);
      assert.ok(got.closed);
    });

    it('never serves what follows bare-LF chunks', async () => {
      const got = await service.raw(head(['Transfer-Encoding: chunked']) + `5\nhello\n0\n\n${SMUGGLED}`);
      assert.equal(got.answers.length, 1);
      assert.ok([400, 408].includes(got.answers[0].status));
      assert.ok(got.closed);
    });

    it('accepts a chunked body, in one piece and byte by byte', async () => {
      const body = login('username');
      const bytes = head(['Transfer-Encoding: ChunKed']) +
        `3;ext="x"\r\n${body.slice(0, 3)}\r\n${(body.length - 3).toString(16)}\r\n${body.slice(3)}\r\n0\r\n\r\n`;
      assert.deepEqual(missing((await service.raw(bytes, one)).answers[0]), ['password']);
      assert.deepEqual(missing((await service.raw([...bytes], { ...one, pause: 0 })).answers[0]), ['password']);
    });

    it('lets trailers change nothing, and serves the next request', async () => {
      const body = login('username');
      const bytes = head(['Transfer-Encoding: chunked', 'Trailer: X-Request-Id', 'X-Request-Id: mine']) +
        `${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Request-Id: theirs\r\nConnection: close\r\n` +
        `Authorization: Bearer x\r\nContent-Type: text/plain\r\nHost: evil\r\n\r\n${SMUGGLED}`;
      const got = await service.raw(bytes, { until: (a) => a.length === 2 });
      assert.equal(got.answers.length, 2, got.text);
      assert.deepEqual(missing(got.answers[0]), ['password']);
      assert.equal(got.answers[0].headers['x-request-id'], 'mine');
      assert.equal(got.answers[1].status, 200);
    });

    for (const trailer of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
      it(`does not take ${trailer} from a trailer`, async () => {
        const body = login('username');
        const got = await service.raw(`${head(['Transfer-Encoding: chunked'])}${body.length.toString(16)}\r\n` +
          `${body}\r\n0\r\n${trailer}\r\n\r\nhello${SMUGGLED}`);
        assert.ok(got.closed);
        assert.ok(got.answers.every((a) => a.status === 400), got.text);
      });
    }

    it('counts trailers among the fields', async () => {
      const many = Array.from({ length: 120 }, (_, i) => `X-${i}: 1\r\n`).join('');
      await refused(`${head(['Transfer-Encoding: chunked'])}0\r\n${many}\r\n`, 400, 431);
    });
  });

  describe('head', () => {
    const start = (line, more = HOST) => `${line}\r\n${more}\r\n`;
    const cases = {
      'no Host': [start('GET /version HTTP/1.1', ''), 400],
      'two Hosts': [start('GET /version HTTP/1.1', `${HOST}Host: other\r\n`), 400],
      'the same Host twice': [start('GET /version HTTP/1.1', HOST + HOST), 400],
      'an empty Host': [start('GET /version HTTP/1.1', 'Host:\r\n'), 400],
      'a Host with a slash': [start('GET /version HTTP/1.1', 'Host: a/b\r\n'), 400],
      'a Host with a user': [start('GET /version HTTP/1.1', 'Host: u@a\r\n'), 400],
      'a Host with a space': [start('GET /version HTTP/1.1', 'Host: a b\r\n'), 400],
      'a list of Hosts': [start('GET /version HTTP/1.1', 'Host: a, b\r\n'), 400],
      'a folded field': [start('GET /version HTTP/1.1', `${HOST}X-A: 1\r\n 2\r\n`), 400],
      'a folded field with a tab': [start('GET /version HTTP/1.1', `${HOST}X-A: 1\r\n\t2\r\n`), 400],
      'a fold of spaces only': [start('GET /version HTTP/1.1', `${HOST}X-A: 1\r\n \r\n`), 400],
      'an empty value that is folded': [start('GET /version HTTP/1.1', `X-A:\r\n \r\n${HOST}`), 400],
      'a folded Host': [start('GET /version HTTP/1.1', 'Host:\r\n localhost\r\n'), 400],
      'a field that starts with a fold': [start('GET /version HTTP/1.1', ` X-A: 1\r\n${HOST}`), 400],
      'a field without a colon': [start('GET /version HTTP/1.1', `${HOST}nonsense\r\n`), 400],
      'a field without a name': [start('GET /version HTTP/1.1', `${HOST}: x\r\n`), 400],
      'a NUL in a value': [start('GET /version HTTP/1.1', `${HOST}X-A: 1\x002\r\n`), 400],
      'a CR in a value': [start('GET /version HTTP/1.1', `${HOST}X-A: 1\r2\r\n`), 400],
      'a bare LF between fields': [`GET /version HTTP/1.1\r\n${HOST.trimEnd()}\nX-A: 1\r\n\r\n`, 400],
      'a bare LF after the request line': [`GET /version HTTP/1.1\n${HOST}\r\n`, 400, 505],
      'two Authorization fields': [start('GET /version HTTP/1.1', `${HOST}Authorization: a\r\nAuthorization: b\r\n`), 400],
      '%00 in the target': [start('GET /version%00 HTTP/1.1'), 400],
      'raw UTF-8 in the target': [start('GET /vers\xc3\xa9 HTTP/1.1'), 400],
      'a fragment': [start('GET /version#a HTTP/1.1'), 400],
      'a backslash': [start('GET /\\version HTTP/1.1'), 400],
      'a target without a slash': [start('GET version HTTP/1.1'), 400],
      'a broken escape': [start('GET /version?%zz HTTP/1.1'), 400],
      'half an escape': [start('GET /version?%4 HTTP/1.1'), 400],
      'a control character in the target': [start('GET /ver\x01sion HTTP/1.1'), 400],
      'DEL in the target': [start('GET /ver\x7fsion HTTP/1.1'), 400],
      'authority-form': [start('GET localhost:80 HTTP/1.1'), 400],
      'an absolute target without a path': [start('GET http://localhost HTTP/1.1'), 400],
      'an absolute target of another scheme': [start('GET ftp://localhost/version HTTP/1.1'), 400],
      'an asterisk with GET': [start('GET * HTTP/1.1'), 400],
      'two spaces in the request line': [start('GET  /version HTTP/1.1'), 400],
      'a space in the target': [start('GET /ver sion HTTP/1.1'), 400, 505],
      'HTTP/0.9': ['GET /version\r\n\r\n', 400, 505],
      'HTTP/1.2': [start('GET /version HTTP/1.2'), 505],
      'HTTP/2.0': [start('GET /version HTTP/2.0'), 505],
      'HTTP/3': [start('GET /version HTTP/3'), 400, 505],
      'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 505],
      'lower-case http/1.1': [start('GET /version http/1.1'), 400, 505],
      'a client hello of TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
      TRACE: [start('TRACE /version HTTP/1.1'), 501],
      CONNECT: [start('CONNECT localhost:80 HTTP/1.1'), 400, 501],
      PROPFIND: [start('PROPFIND /version HTTP/1.1'), 501],
      'a method of its own': [start('FROBNICATE /version HTTP/1.1'), 501],
      'get in lower case': [start('get /version HTTP/1.1'), 501],
      'a target over 8 KiB': [start(`GET /${'a'.repeat(8_200)} HTTP/1.1`), 414],
      'a target over everything': [start(`GET /${'a'.repeat(40_000)} HTTP/1.1`), 414],
      'over 100 fields': [start('GET /version HTTP/1.1', HOST + Array.from({ length: 100 }, (_, i) => `X-${i}: 1\r\n`).join('')), 431],
      'over 16 KiB of fields': [start('GET /version HTTP/1.1', `${HOST}X-A: ${'a'.repeat(17_000)}\r\n`), 431],
      'over 16 KiB in many fields': [start('GET /version HTTP/1.1', HOST + Array.from({ length: 90 }, (_, i) => `X-${i}: ${'a'.repeat(200)}\r\n`).join('')), 431],
      'another expectation': [head(['Content-Length: 2', 'Expect: 200-ok']) + '{}', 417],
      'gzip as Content-Encoding': [head(['Content-Length: 2', 'Content-Encoding: gzip']) + '{}', 415],
    };
    for (const [name, [bytes, ...statuses]] of Object.entries(cases)) {
      it(`refuses ${name}`, () => refused(bytes, ...statuses));
    }

    it('accepts exactly 100 fields', async () => {
      const fields = HOST + Array.from({ length: 99 }, (_, i) => `X-${i}: 1\r\n`).join('');
      const got = await service.raw(start('GET /version HTTP/1.1', fields), one);
      assert.equal(got.answers[0].status, 200);
    });

    it('takes identity as Content-Encoding', async () => {
      const got = await service.raw(head(['Content-Length: 2', 'Content-Encoding: identity']) + '{}', one);
      assert.deepEqual(missing(got.answers[0]), ['username', 'password']);
    });

    it('answers an error in the dialect of the path that was asked for', async () => {
      const got = await refused(`POST ${LOGIN} HTTP/1.1\r\n${HOST}Content-Length: 99999\r\n\r\n`, 413);
      assert.equal(got.answers[0].json.error.code, 'VALIDATION_ERROR');
    });

    it('takes absolute-form, whatever the case of its scheme', async () => {
      for (const scheme of ['http', 'HTTP', 'https']) {
        const got = await service.raw(start(`GET ${scheme}://localhost:80/version?x=1 HTTP/1.1`), one);
        assert.equal(got.answers[0].json?.name, 'binnacle');
      }
    });

    it('skips one empty line before a request, also between two', async () => {
      const got = await service.raw(`\r\n${SMUGGLED}\r\n${SMUGGLED}`, { until: (a) => a.length === 2 });
      assert.deepEqual(got.answers.map((a) => a.status), [200, 200]);
      const split = await service.raw(['\r', '\n', SMUGGLED], one);
      assert.deepEqual(split.answers.map((a) => a.status), [200]);
    });
  });

  describe('body limit', () => {
    const padded = (size) => {
      const frame = JSON.stringify({ username: '' });
      return JSON.stringify({ username: 'a'.repeat(size - frame.length) });
    };

    it('takes a body of exactly the limit', async () => {
      const body = padded(MAX_BODY);
      const plain = await service.raw(head([`Content-Length: ${MAX_BODY}`]) + body, one);
      assert.deepEqual(missing(plain.answers[0]), ['password']);
      const halves = `400\r\n${body.slice(0, 1024)}\r\n400\r\n${body.slice(1024)}\r\n0\r\n\r\n`;
      const chunked = await service.raw(head(['Transfer-Encoding: chunked']) + halves, one);
      assert.deepEqual(missing(chunked.answers[0]), ['password']);
    });

    it('refuses one byte more by its content-length, before it is sent', async () => {
      const got = await service.raw(head([`Content-Length: ${MAX_BODY + 1}`]));
      assert.deepEqual(got.answers.map((a) => a.status), [413]);
      assert.ok(got.closed);
    });

    it('refuses one byte more by its content-length, when it is sent', () =>
      refused(head([`Content-Length: ${MAX_BODY + 1}`]) + padded(MAX_BODY + 1), 413));

    it('refuses one byte more in chunks', async () => {
      const body = padded(MAX_BODY + 1);
      await refused(head(['Transfer-Encoding: chunked']) +
        `400\r\n${body.slice(0, 1024)}\r\n401\r\n${body.slice(1024)}\r\n0\r\n\r\n`, 413);
      await refused(head(['Transfer-Encoding: chunked']) + `${(MAX_BODY + 1).toString(16)}\r\n`, 413);
    });

    it('delivers the 413 to a client that sends on and on', async () => {
      const pieces = Array.from({ length: 20 }, () => 'x'.repeat(10_000));
      const got = await service.raw([head(['Content-Length: 900000']), ...pieces], { pause: 5 });
      assert.deepEqual(got.answers.map((a) => a.status), [413]);
      assert.ok(got.closed);
    });

    it('delivers the 413 to a client that reads only when it has sent all of a huge body', async () => {
      const piece = Buffer.alloc(1_000_000, 'x'), pieces = 100;
      const socket = net.connect(service.port, '127.0.0.1').pause();
      await once(socket, 'connect');
      socket.write(head([`Content-Length: ${piece.length * pieces}`]));
      for (let i = 0; i < pieces; ++i)
        if (!socket.write(piece)) await once(socket, 'drain');
      let text = '';
      for await (const part of socket) text += part; // fails when the connection is reset
      assert.match(text, /^HTTP\/1\.1 413 /);
      assert.ok(text.endsWith('}'), text.slice(-80));
    });
  });

  describe('expect', () => {
    it('sends 100 Continue and then the answer', async () => {
      const body = login('username');
      let told = 0;
      const got = await service.raw([head([`Content-Length: ${body.length}`, 'Expect: 100-continue']),
        () => eventually('it is told to go on', () => told === 1), body],
      { until: (a) => { told = a.length; return told === 2; } });
      assert.deepEqual(got.answers.map((a) => a.status), [100, 400]);
    });

    it('sends none for a body it refuses', async () => {
      const got = await service.raw(head(['Content-Length: 99999', 'Expect: 100-continue']));
      assert.deepEqual(got.answers.map((a) => a.status), [413]);
      assert.ok(got.closed);
      const both = await service.raw(head(['Content-Length: 2', 'Expect: 100-continue', 'Content-Encoding: br']));
      assert.deepEqual(both.answers.map((a) => a.status), [415]);
    });

    it('sends none to an HTTP/1.0 client, nor for an empty body', async () => {
      const old = await service.raw(head(['Content-Length: 2', 'Expect: 100-continue'], `POST ${LOGIN} HTTP/1.0`) + '{}');
      assert.deepEqual(old.answers.map((a) => a.status), [400]);
      const empty = await service.raw(head(['Content-Length: 0', 'Expect: 100-continue']), one);
      assert.deepEqual(empty.answers.map((a) => a.status), [400]);
    });
  });

  describe('persistence', () => {
    it('answers pipelined requests in order, with bodies and across routes', async () => {
      const body = login('password');
      const requests = [
        ['GET', 'GET /version', '', 200, (a) => a.json.name === 'binnacle'],
        ['POST', `POST ${LOGIN}`, body, 400, (a) => a.json.error.details.fields[0] === 'username'],
        ['GET', 'GET /api/pricing', '', 200, (a) => a.headers.etag],
        ['HEAD', 'HEAD /api/pricing', '', 200, (a) => Number(a.headers['content-length']) > 0],
        ['GET', 'GET /nothing', '', 404, (a) => a.json.error],
        ['GET', 'GET /api/usage', '', 401, (a) => a.json.error],
        ['OPTIONS', 'OPTIONS /api/pricing', '', 204, (a) => a.headers.allow.includes('GET')],
        ['DELETE', 'DELETE /api/pricing', '', 405, (a) => a.headers.allow.includes('GET')],
        ['GET', 'GET /healthz', '', 200, (a) => a.json.status === 'ok'],
      ];
      const rounds = Array.from({ length: 20 }, () => requests).flat();
      const bytes = rounds.map(([, line, text], i) => `${line} HTTP/1.1\r\n${HOST}X-Request-Id: r${i}\r\n` +
        (text ? `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n` : '') + `\r\n${text}`).join('');
      const got = await service.raw(bytes, {
        methods: rounds.map(([method]) => method), until: (a) => a.length === rounds.length,
      });
      assert.equal(got.answers.length, rounds.length);
      got.answers.forEach((answer, i) => {
        const [, line, , status, right] = rounds[i];
        assert.equal(answer.headers['x-request-id'], `r${i}`);
        assert.equal(answer.status, status, `${line}: ${answer.body}`);
        assert.ok(right(answer), `${line}: ${JSON.stringify(answer)}`);
      });
    });

    it('serves nothing behind Connection: close', async () => {
      const got = await service.raw(`GET /version HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n${SMUGGLED}`);
      assert.deepEqual(got.answers.map((a) => [a.status, a.headers.connection]), [[200, 'close']]);
      assert.ok(got.closed);
    });

    it('closes after HTTP/1.0, unless asked to keep the connection', async () => {
      const once = await service.raw(`GET /version HTTP/1.0\r\n\r\n${SMUGGLED}`);
      assert.deepEqual(once.answers.map((a) => a.status), [200]);
      assert.ok(once.closed);
      const kept = await service.raw(
        `GET /version HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n`);
      assert.ok(kept.closed);
      assert.ok([1, 2].includes(kept.answers.length));
      // An HTTP/1.0 client waits for more unless it is told that the connection stays.
      if (kept.answers.length === 2) assert.match(kept.answers[0].headers.connection ?? '', /keep-alive/i);
    });

    it('keeps the connection over 200 requests, one at a time', async () => {
      let count = 0;
      const got = await service.raw(Array.from({ length: 200 }, () => SMUGGLED), {
        pause: 0, until: (a) => { count = a.length; return count === 200; },
      });
      assert.equal(got.answers.length, 200);
    });

    it('answers HEAD as GET without a body', async () => {
      for (const path of ['/version', '/api/pricing', '/nothing']) {
        const both = await service.raw(
          `HEAD ${path} HTTP/1.1\r\n${HOST}\r\nGET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
          { methods: ['HEAD', 'GET'] });
        assert.equal(both.answers.length, 2, both.text);
        assert.equal(both.answers[0].status, both.answers[1].status);
        assert.equal(both.answers[0].headers['content-length'], both.answers[1].headers['content-length']);
      }
    });

    it('answers OPTIONS *', async () => {
      const got = await service.raw(`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, one);
      assert.equal(got.answers[0].status, 204);
      assert.ok(got.answers[0].headers.allow);
    });

    it('answers a client that has closed its side', async () => {
      const got = await service.raw(SMUGGLED + SMUGGLED, { end: true });
      assert.deepEqual(got.answers.map((a) => a.status), [200, 200]);
    });

    it('is not troubled by garbage, and by clients that leave', async () => {
      const seed = { at: 7 };
      const random = () => (seed.at = (seed.at * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
      await Promise.all(Array.from({ length: 60 }, async () => {
        const noise = Array.from({ length: 300 }, () => String.fromCharCode(Math.floor(random() * 256))).join('');
        const cut = SMUGGLED.slice(0, Math.floor(random() * SMUGGLED.length));
        await service.raw([cut + noise], { within: 150 });
      }));
      assert.equal((await service.call('GET', '/healthz')).status, 200);
      assert.equal((await service.call('GET', '/api/pricing')).status, 200);
    });
  });
});
