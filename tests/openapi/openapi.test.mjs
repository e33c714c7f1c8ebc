// openapi.yaml against OpenAPI's own rules, against itself, and against the route table.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { bodySchemaOf, complaint, description, differs, objection, operationOf, operations, resolve } from './validator.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const none = (found, what) => assert.deepEqual(found, [], what);

/// "GET /path" of the table, the ones that are answered on the connection included.
function routes() {
  const table = readFileSync(`${root}/http/routes/table.cpp`, 'utf8');
  const verbs = { delete_: 'DELETE' };
  const all = [...table.matchAll(/\{\s*(get|post|put|patch|delete_),\s*"([^"]+)",\s*&(\w+),\s*who::(\w+)/g)].map(
    ([, verb, path, surface, who]) =>
      ({ name: `${verbs[verb] ?? verb.toUpperCase()} ${path.replace('...}', '}')}`, surface, who }));
  for (const [, path] of table.matchAll(/^\s*\{"(\/[^"]+)",/gm))
    all.push({ name: `GET ${path}`, surface: 'operations', who: 'anyone', direct: true });
  return all;
}
const described = new Map(operations.map((each) => [`${each.method} ${each.path}`, each.operation]));

test('the document is OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(description));
  assert.ok(valid, JSON.stringify(errors, null, 2));
});

test('no text ends at a comma that YAML took for its own', () => {
  const cut = [];
  const walk = (node) => {
    if (node === null || typeof node !== 'object') return;
    for (const [key, value] of Object.entries(node)) {
      if (value === null && key.includes(' ')) cut.push(key);
      walk(value);
    }
  };
  walk(description);
  none(cut);
});

test('every route is described, and every description is a route', () => {
  const names = new Set(routes().map(({ name }) => name));
  none([...names].filter((name) => !described.has(name)), 'routes that openapi.yaml does not describe');
  none([...described.keys()].filter((name) => !names.has(name)), 'openapi.yaml describes what is no route');
});

test('a route has its surface\'s tag, one for each surface that claims the path', () => {
  none(routes().filter(({ name, surface }) => !described.get(name)?.tags.includes(surface.replace('_admin', '')))
    .map(({ name, surface }) => `${name}: ${surface}`));
});

test('who may call is as the table says', () => {
  const wrong = routes().filter(({ name, who }) => {
    const schemes = (described.get(name)?.security ?? []).flatMap((way) => Object.keys(way));
    if (who === 'cron') return !schemes.includes('cronSecret');
    if (who === 'user' || who === 'admin') return !schemes.includes('bearer');
    return schemes.includes('bearer') && who === 'stranger';
  });
  none(wrong.map(({ name }) => name));
});

test('every write takes an Idempotency-Key, and nothing else does', () => {
  const takes = (operation) => (operation.parameters ?? [])
    .some((parameter) => resolve(parameter).name === 'Idempotency-Key');
  none(operations.filter(({ method, operation }) => takes(operation) !== (method !== 'GET' && !operation['x-only-asks']))
    .map(({ method, path }) => `${method} ${path}`));
});

test('every route that looks at cookies says what happens to too many of them', () => {
  const looking = routes().filter(({ who, direct }) => who !== 'stranger' && !direct);
  none(looking.filter(({ name }) => !described.get(name)?.responses['429']).map(({ name }) => name));
});

test('every path parameter is described', () => {
  none(operations.filter(({ path, operation }) => {
    const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const given = (operation.parameters ?? []).map(resolve).filter((each) => each.in === 'path');
    return named.join() !== given.map(({ name }) => name).join();
  }).map(({ path }) => path));
});

test('every reference leads somewhere, and everything is referred to', () => {
  const text = JSON.stringify(description);
  const references = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to));
  none([...references].filter(($ref) => { try { return !resolve({ $ref }); } catch { return true; } }));
  const unused = ['schemas', 'responses', 'parameters', 'headers', 'requestBodies'].flatMap((kind) =>
    Object.keys(description.components[kind]).map((name) => `#/components/${kind}/${name}`));
  none(unused.filter((name) => !references.has(name)));
});

test('every example is as its schema says', () => {
  const wrong = [];
  const check = (where, holder) => {
    for (const [type, { schema, example }] of Object.entries(resolve(holder)?.content ?? {}))
      if (example !== undefined && differs(schema, example)) wrong.push(`${where}, ${type}: ${differs(schema, example)}`);
  };
  for (const { method, path, operation } of operations) {
    check(`${method} ${path}`, operation.requestBody);
    for (const [status, response] of Object.entries(operation.responses)) check(`${method} ${path} ${status}`, response);
  }
  none(wrong);
});

test('every JSON body has an example', () => {
  none(operations.filter(({ operation }) => bodySchemaOf(operation) &&
    resolve(operation.requestBody).content['application/json'].example === undefined).map(({ path }) => path));
});

test('a body that was accepted and is not as described is complained of', () => {
  const said = (body, type = 'application/json; charset=utf-8') =>
    objection('POST', '/api/team/invite?x=1', { type, text: body && JSON.stringify(body) });
  assert.equal(said({ email: 'a@example.com', unknown: 1 }), undefined);
  assert.match(said({ email: 7 }), /email/);
  assert.match(said({}), /email/);
  assert.match(said(undefined), /without a body/);
  assert.equal(said({}, 'text/plain'), undefined);
  assert.equal(objection('GET', '/api/usage', {}), undefined);
});

test('every operation has a name of its own, a summary, and an answer that is no error', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  none(operations.filter(({ operation }) => !operation.summary ||
    !Object.keys(operation.responses).some((status) => /^[23]\d\d$/.test(status))).map(({ path }) => path));
});

test('an answer that is not as described is complained of', () => {
  const headers = { 'x-request-id': 'r', 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' };
  const said = (status, text, more = {}) =>
    complaint('GET', '/healthz?x=1', { status, headers: { ...headers, ...more }, text });
  assert.equal(said(200, '{"status":"ok"}'), undefined);
  assert.match(said(200, '{"status":"fine"}'), /status/);
  assert.match(said(200, '{"status":"ok","more":1}'), /more/);
  assert.match(said(201, '{"status":"ok"}'), /201 is not described/);
  assert.match(said(409, '{"error":"Conflict"}'), /409 is not described/);
  assert.match(said(200, 'ok', { 'content-type': 'text/plain' }), /text\/plain/);
  assert.match(said(200, '{"status":"ok"}', { 'x-request-id': undefined }), /X-Request-Id/);
  assert.equal(operationOf('GET', '/api/admin/usage/check-database').path, '/api/admin/usage/check-database');
  assert.equal(operationOf('GET', '/api/admin/usage/usr_1').path, '/api/admin/usage/{userId}');
});
