/// Sends what the reader has filled in, and tells what came back.

/// `values`: {'in name': text}; what is empty is not sent.
export function requestOf(operation, { values = {}, body, type, token }) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let path = operation.path;
  for (const { name, in: where, 'x-spans-segments': spans } of operation.parameters) {
    const value = values[`${where} ${name}`] ?? '';
    if (where === 'path') path = path.replace(`{${name}}`, spans ? encodeURI(value) : encodeURIComponent(value));
    else if (value === '') continue;
    else if (where === 'query') query.append(name, value);
    else if (where === 'header') headers.set(name, value);
  }
  if (token) headers.set('Authorization', `Bearer ${token}`);
  if (body && !(body instanceof FormData)) headers.set('Content-Type', type); // a form's has its boundary
  const text = query.toString();
  return {
    url: text ? `${path}?${text}` : path,
    init: { method: operation.method.toUpperCase(), headers, body: body || undefined,
      credentials: 'same-origin', redirect: 'manual', cache: 'no-store' },
  };
}

const asksForCsrfToken = ({ security }) => security.some((scheme) => 'csrfToken' in scheme);

async function csrfToken() {
  const known = document.cookie.split('; ').find((pair) => pair.startsWith('csrf_token='));
  if (known) return known.slice('csrf_token='.length);
  return (await (await fetch('/api/csrf')).json()).csrfToken;
}

/// A stream has no end: what comes in its first seconds.
async function beginningOf(stream, patience = 3_000) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const late = setTimeout(() => reader.cancel(), patience);
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  clearTimeout(late);
  return `${text}…`;
}

/// {status, milliseconds, headers: [[name, value]], text}
export async function send(operation, filled) {
  const { url, init } = requestOf(operation, filled);
  if (asksForCsrfToken(operation)) init.headers.set('X-CSRF-Token', await csrfToken());
  const began = performance.now();
  const answer = await fetch(url, init);
  const endless = answer.headers.get('content-type')?.startsWith('text/event-stream');
  const text = endless ? await beginningOf(answer.body) : await answer.text();
  const milliseconds = Math.round(performance.now() - began);
  // A browser does not show where it was sent to.
  if (answer.type === 'opaqueredirect') return { status: '3xx, a redirect', good: true, milliseconds, headers: [], text: '' };
  return { status: `${answer.status} ${answer.statusText}`, good: answer.ok, milliseconds,
    headers: [...answer.headers], text };
}

/// JSON over several lines, without reading its numbers: they are exact, and stay so.
export function indented(json) {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  return json.replace(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[\]{},:]|\s+/g, (token) => {
    if (/^\s/.test(token)) return '';
    if (token.length > 1) return token;
    if (token === '{' || token === '[') return ++depth, token + line();
    if (token === '}' || token === ']') return --depth, line() + token;
    return token === ',' ? token + line() : `${token} `;
  });
}
