import http from 'node:http';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { close, listen } from './program.mjs';

/// A certified OpenID provider (npm: oidc-provider) with one client and users who need no password:
/// whoever is named by `login_hint` is logged in. `npm ci` in tests/upstreams installs it.

/// {issuer, seen, before, close()}. `before(request, response)` may answer in the provider's place
/// by returning true; `claims(id)` are those of a user.
export async function startProvider({ port = 0, client, claims = defaultClaims }) {
  const server = http.createServer();
  await listen(server, port);
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [client],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false, // as Auth0: what the scopes ask for stands in the ID token
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims(id) }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: grantAll,
  });
  const state = { issuer, seen: [], before: null, close: () => close(server) };
  server.on('request', async (request, response) => {
    state.seen.push(`${request.method} ${request.url}`);
    if (await state.before?.(request, response)) return;
    if (request.url.startsWith('/interaction/')) await logIn(provider, request, response);
    else provider.callback()(request, response);
  });
  return state;
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
