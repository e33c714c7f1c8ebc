/// Answers in the words of a Kubernetes API server.

const REASONS = {
  400: 'BadRequest', 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound',
  405: 'MethodNotAllowed', 429: 'TooManyRequests', 500: 'InternalError',
  503: 'ServiceUnavailable', 504: 'Timeout',
};
const MESSAGES = {
  401: 'Unauthorized',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  429: 'Too many requests, please try again later.',
  500: 'an error on the server has prevented the request from succeeding',
  503: 'the server is currently unable to handle the request',
};

/// A Status object as the answer {status, headers, body}.
export function failure(code, { message, retryAfter } = {}) {
  const body = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: message ?? MESSAGES[code] ?? `unexpected status ${code}`,
    ...(REASONS[code] && { reason: REASONS[code] }),
    ...(retryAfter !== undefined && { details: { retryAfterSeconds: retryAfter } }),
    code,
  };
  const headers = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
  return json(body, code, headers);
}

export function version() {
  return json({
    major: '1',
    minor: '29',
    gitVersion: 'v1.29.4',
    gitCommit: '0000000000000000000000000000000000000000',
    gitTreeState: 'clean',
    buildDate: '2024-04-16T15:01:30Z',
    goVersion: 'go1.21.9',
    compiler: 'gc',
    platform: 'linux/amd64',
  });
}

export function json(value, status = 200, headers = {}) {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/// {namespace, service, port, rest} of a service proxy path, or undefined.
export function parseProxyPath(path) {
  const match = /^\/api\/v1\/namespaces\/([^/]+)\/services\/([^/]+)\/proxy(\/.*)$/.exec(path);
  if (!match) return undefined;
  try {
    // Clients may send the colon as %3A.
    const [service, port] = decodeURIComponent(match[2]).split(':');
    return { namespace: decodeURIComponent(match[1]), service, port, rest: match[3] };
  } catch {
    return undefined;
  }
}
