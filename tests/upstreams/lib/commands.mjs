import http from 'node:http';

/// A plain HTTP port on 127.0.0.1 through which tests command a stand-in.

const LARGEST_BODY = 64 * 2 ** 20;

/// `routes` maps `METHOD /path` to a function of the body, and of what a `:name` in the path stands
/// for; what it gives is the answer. An error is 400 with its message.
export function createCommands(routes) {
  const table = Object.entries(routes).map(([name, act]) => ({
    act,
    pattern: new RegExp(`^${name.replaceAll(/:\w+/g, '([^/]+)')}$`),
  }));
  return http.createServer(async (request, response) => {
    const answer = (status, value) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(`${JSON.stringify(value)}\n`);
    };
    const name = `${request.method} ${request.url}`;
    const route = table.find(({ pattern }) => pattern.test(name));
    if (!route)
      return answer(404, { error: `${name} is none of ${Object.keys(routes).join(', ')}` });
    try {
      const names = route.pattern.exec(name).slice(1).map(decodeURIComponent);
      return answer(200, await route.act(await readBody(request), ...names));
    } catch (error) {
      // Everything thrown here tells the author of a test what is wrong with the command.
      return answer(400, { error: error.message });
    }
  });
}

/// A command that only says that it was done.
export const done =
  (act) =>
  (...given) => {
    act(...given);
    return { ok: true };
  };

/// The options in `body`; `checks` has for each a function that gives its value, or undefined.
export function readOptions(body, checks) {
  return Object.fromEntries(
    Object.entries(body ?? {}).map(([name, value]) => {
      const option = Object.hasOwn(checks, name) ? checks[name](value) : undefined;
      if (option === undefined) throw new TypeError(`bad option ${name}: ${JSON.stringify(value)}`);
      return [name, option];
    }),
  );
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > LARGEST_BODY) throw new RangeError('body is too large');
    chunks.push(chunk);
  }
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
