import assert from 'node:assert/strict';
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { close, listen } from './program.mjs';

/// A certified OpenID provider (npm: oidc-provider) with one client and users who need no password:
/// whoever is named by `login_hint` is logged in or, with `form`, by its own form for browsers. `npm ci` in tests/upstreams installs it.

/// {issuer, seen, before, conforms(bool), close()}. `before(request, response)` may answer in the
/// provider's place by returning true; `claims(id)` are those of a user; one that `conforms` keeps
/// what the scopes ask for out of the ID token (OpenID Connect Core §5.4).
export async function startProvider({ port = 0, client, claims = defaultClaims, form = false }) {
  const server = http.createServer();
  await listen(server, port);
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const keys = [randomBytes(32).toString('hex')];
  const configured = (conformIdTokenClaims) => new Provider(issuer, {
    clients: [client],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims,
    cookies: { keys },
    features: { devInteractions: { enabled: form } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims(id) }) }),
    ...(form ? {} : { interactions: { url: (_, { uid }) => `/interaction/${uid}` } }),
    loadExistingGrant: grantAll,
  });
  const [terse, talkative] = [configured(true), configured(false)];
  let provider = talkative; // as Auth0
  const state = {
    issuer,
    seen: [],
    before: null,
    conforms: (yes) => { provider = yes ? terse : talkative; },
    close: () => close(server),
  };
  server.on('request', async (request, response) => {
    state.seen.push(`${request.method} ${request.url}`);
    if (await state.before?.(request, response)) return;
    if (!form && request.url.startsWith('/interaction/')) await logIn(provider, request, response);
    else provider.callback()(request, response);
  });
  return state;
}

/// What a browser does at the provider until that sends it back to `base`: the path and query that
/// it comes with.
export async function goThrough(location, base, jar = {}) {
  for (let url = location; ;) {
    const cookie = Object.entries(jar).map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) jar[name] = value;
      else delete jar[name];
    }
    assert.ok([302, 303].includes(answer.status), `${url}: ${answer.status} ${await answer.text()}`);
    url = new URL(answer.headers.get('location'), url).href;
    if (url.startsWith(base)) return url.slice(base.length);
  }
}

const defaultClaims = (id) =>
  ({ email: `${id}@example.com`, email_verified: true, name: `Name of ${id}` });

async function logIn(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const refused = { error: 'access_denied', error_description: 'the user said no' };
  await provider.interactionFinished(request, response,
    params.login_hint ? { login: { accountId: params.login_hint } } : refused);
}

async function grantAll(ctx) {
  const { client, session, provider } = ctx.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid email profile');
  await grant.save();
  return grant;
}
