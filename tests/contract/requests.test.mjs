/// Bodies of requests: what openapi.yaml requires of them is required.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bodySchemaOf, operations, resolve } from '../openapi/validator.mjs';
import { expect, startService } from './harness.mjs';
import { hubHeaders } from './stripe.mjs';

const SECRET = 'a secret of the action';
let service, token;
before(async () => {
  service = await startService({ env: {
    BINNACLE_RATE_LIMIT_SCALE: '1000', CRON_SECRET: 'a secret of the cron',
    AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com', AUTH0_WEBHOOK_SECRET: SECRET,
  } });
  token = await service.adminToken();
});
after(() => service?.stop());

/// Each required property of an object, however the schema names it.
function requiredOf(schema) {
  const { required = [], allOf = [] } = resolve(schema);
  return [...required, ...allOf.flatMap(requiredOf)];
}
const pathOf = (path, operation) => path.replace(/\{([^}]+)\}/g, (_, name) =>
  encodeURIComponent((operation.parameters ?? []).map(resolve).find((each) => each.name === name)?.example ?? '1'));
const isAnyones = (operation) => (operation.security ?? []).every((way) => Object.keys(way).length === 0);

const asking = operations.filter(({ operation }) => bodySchemaOf(operation) && requiredOf(bodySchemaOf(operation)).length > 0);

async function refused({ method, path, operation }, body) {
  const { headers, cookie } = hubHeaders(service);
  const answer = await service.call(method, pathOf(path, operation), {
    body, cookie, headers: { ...headers, 'X-Auth0-Secret': SECRET }, ...(isAnyones(operation) ? {} : { token }) });
  assert.ok(answer.status >= 400 && answer.status < 500 && ![401, 403, 404, 405, 429].includes(answer.status),
    `${method} ${path} with ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
}

test('there are bodies with something that is required', () => assert.ok(asking.length >= 10, `${asking.length}`));

for (const each of asking) {
  const { method, path, operation } = each;
  const { example } = resolve(operation.requestBody).content['application/json'];
  for (const name of requiredOf(bodySchemaOf(operation)))
    test(`${method} ${path} is refused without ${name}`, async () => {
      const { [name]: _, ...rest } = example;
      await refused(each, rest);
    });
  if (resolve(operation.requestBody).required)
    test(`${method} ${path} is refused when the body is no object`, async () => {
      for (const body of ['', '[]', 'null', '"text"', '{']) await refused(each, body);
    });
}
