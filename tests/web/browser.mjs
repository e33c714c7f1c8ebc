/// Debian's Chromium without a window, spoken to by the DevTools protocol over two pipes: nothing
/// but Node's standard library, and no port.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const PATIENCE = 60_000;
const program = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);

/// Its files are in `directory`, and go with it; it ends with the test's process at the latest.
export async function startBrowser(directory) {
  assert.ok(program, 'no Chromium here: scripts/packages test');
  const profile = join(directory, 'chromium');
  const child = spawn(program, [
    '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run',
    '--disable-gpu', '--disable-dev-shm-usage', '--disable-extensions', '--disable-background-networking',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []), 'about:blank',
  ], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'], env: { ...process.env, HOME: profile } });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = new Promise((done) => child.once('exit', done));

  const [, , , sending, receiving] = child.stdio;
  const waiting = new Map(), listeners = [];
  const give_up = () => {
    for (const { failed } of waiting.values()) failed(new Error(`Chromium ended:\n${said}`));
    waiting.clear();
  };
  sending.on('error', give_up);
  ended.then(give_up);
  let buffered = '', id = 0;
  receiving.setEncoding('utf8').on('data', (text) => {
    const messages = (buffered + text).split('\0');
    buffered = messages.pop();
    for (const message of messages.map((each) => JSON.parse(each))) {
      const { done, failed } = waiting.get(message.id) ?? {};
      waiting.delete(message.id);
      if (message.error) failed?.(new Error(message.error.message));
      else if (done) done(message.result);
      else listeners.forEach((hear) => hear(message));
    }
  });
  const command = (method, params = {}, sessionId) => new Promise((done, failed) => {
    waiting.set(++id, { done, failed });
    sending.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });

  const { targetId } = await command('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await command('Target.attachToTarget', { targetId, flatten: true });
  const page = new Page((method, params) => command(method, params, sessionId));
  listeners.push((message) => message.sessionId === sessionId && page.hear(message));
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.command(`${domain}.enable`);

  page.close = async () => {
    const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE / 6);
    command('Browser.close').catch(() => {}); // it may be gone before it has answered
    await ended;
    clearTimeout(late);
  };
  return page;
}

class Page {
  complaints = []; // violated policies, errors of scripts, and whatever could not be loaded
  requests = [];   // addresses
  constructor(command) { this.command = command; }

  hear({ method, params }) {
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.exception?.description);
    if (method === 'Log.entryAdded' && params.entry.level === 'error') this.complaints.push(params.entry.text);
    if (method === 'Network.requestWillBeSent') this.requests.push(params.request.url);
  }

  async open(url) { await this.command('Page.navigate', { url }); }

  /// The value of an expression in the page; a promise is waited for.
  async run(expression) {
    const { result, exceptionDetails } = await this.command('Runtime.evaluate',
      { expression, awaitPromise: true, returnByValue: true });
    assert.ok(!exceptionDetails, exceptionDetails?.exception?.description);
    return result.value;
  }

  /// Waits until the expression is true.
  async until(expression) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const value = await this.run(expression);
      if (value) return value;
      assert.ok(Date.now() < deadline, `never true in the page: ${expression}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  type(selector, text) {
    return this.run(`(() => {
      const input = document.querySelector(${JSON.stringify(selector)});
      input.value = ${JSON.stringify(text)};
      input.dispatchEvent(new Event('input', { bubbles: true }));
    })()`);
  }
  click(selector) { return this.run(`document.querySelector(${JSON.stringify(selector)}).click()`); }
  text(selector) { return this.run(`document.querySelector(${JSON.stringify(selector)})?.innerText`); }
}
