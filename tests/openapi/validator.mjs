/// openapi.yaml as the tests read it: which operation a request is, whether an answer is what the
/// document promises, and whether what was accepted is what the document asks for. Stricter than OpenAPI: an object has no property that is not described,
/// unless it says so, and a range such as 4XX stands only for what is refused before the route.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

export const description = parse(
  readFileSync(fileURLToPath(new URL('../../openapi.yaml', import.meta.url)), 'utf8'),
  { maxAliasCount: -1 });

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];
/// 400 and 422 can be the pipeline's on every route: a path or an Idempotency-Key that is none.
const REFUSED_EARLY = new Set([400, 404, 405, 408, 413, 414, 415, 417, 422, 431]);

/// [{method: 'GET', path, operation}]
export const operations = Object.entries(description.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) =>
    ({ method: method.toUpperCase(), path, operation: item[method] })));

export function resolve(node) {
  if (!node?.$ref) return node;
  const steps = node.$ref.slice(2).split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return resolve(steps.reduce((at, step) => at[step], description));
}

/// Objects without a word about further properties have none.
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const out = Object.fromEntries(Object.entries(schema).map(([name, part]) =>
    [name, ['example', 'examples', 'enum', 'const', 'default'].includes(name) ? part : closed(part)]));
  if (typeof out.properties === 'object' && [out.type].flat().includes('object'))
    out.additionalProperties ??= false;
  return out;
}

/// A function that answers nothing when `value` is as `schema` says; otherwise why not.
function comparison(prepared) {
  const ajv = addFormats(new Ajv({ strict: false, allErrors: false }));
  ajv.addSchema({ $id: 'openapi', components: { schemas: prepared(description.components.schemas) } });
  const compiled = new Map();
  return (schema, value) => {
    if (!compiled.has(schema)) {
      const text = JSON.stringify(prepared(schema)).replaceAll('"#/components/', '"openapi#/components/');
      compiled.set(schema, ajv.compile(JSON.parse(text)));
    }
    const validate = compiled.get(schema);
    return validate(value) ? undefined : ajv.errorsText(validate.errors.slice(0, 3), { dataVar: 'body' }) +
      validate.errors.slice(0, 1).map(({ params }) => ` ${JSON.stringify(params)}`);
  };
}

/// Of what we write.
export const differs = comparison(closed);
/// Of what a client writes: properties that nobody knows are passed over.
const differsAsRequest = comparison((schema) => schema);

/// A path parameter may span segments, which OpenAPI has no word for.
const segmentsOf = (operation, name) => ((operation.parameters ?? []).map(resolve)
  .find((parameter) => parameter.name === name)?.['x-spans-segments'] ? '.+' : '[^/]+');
const patterns = operations.map(({ method, path, operation }) => ({
  method, path, operation, literal: !path.includes('{'),
  matches: new RegExp(`^${path.replace(/[.]/g, '\\.')
    .replace(/\{([^}]+)\}/g, (_, name) => segmentsOf(operation, name))}$`),
}));

/// The operation of a request; literal paths win. HEAD is GET.
export function operationOf(method, target) {
  const path = target.split('?')[0];
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = patterns.filter((candidate) => candidate.method === wanted && candidate.matches.test(path));
  return found.find(({ literal }) => literal) ?? found[0];
}

function responseOf(operation, status) {
  const exact = operation.responses[status];
  if (exact) return resolve(exact);
  if (status < 500 && !REFUSED_EARLY.has(status)) return undefined;
  return resolve(operation.responses[`${Math.floor(status / 100)}XX`]);
}

const isJson = (type) => (type ?? '').split(';')[0].trim().toLowerCase() === 'application/json';

/// The schema of an operation's JSON body, if it takes one.
export const bodySchemaOf = (operation) => resolve(operation.requestBody)?.content?.['application/json']?.schema;

/// Nothing when the document lets a client send `sent` ({type, text}: the body, if there was one);
/// otherwise why not. Asked of what was accepted, a complaint means that the document is wrong.
export function objection(method, target, sent) {
  const operation = operationOf(method, target)?.operation;
  const body = resolve(operation?.requestBody);
  if (!body) return undefined;
  if (!sent.text) return body.required ? 'it was accepted without a body' : undefined;
  const schema = bodySchemaOf(operation);
  if (!schema || !isJson(sent.type)) return undefined;
  const wrong = differsAsRequest(schema, JSON.parse(sent.text));
  return wrong && `it was accepted with another body: ${wrong}`;
}

/// Nothing when the answer is as described, or the request is of no route; otherwise why not.
export function complaint(method, target, { status, headers, text }) {
  const found = operationOf(method, target);
  if (!found) return undefined;
  const response = responseOf(found.operation, status);
  if (!response) return `${status} is not described`;
  for (const [name, given] of Object.entries(response.headers ?? {})) {
    const header = resolve(given);
    const value = headers[name.toLowerCase()];
    if (value === undefined && header.required) return `${status} has no ${name}`;
    const asNumber = header.schema.type === 'integer' ? Number(value) : [value].flat()[0];
    const wrong = value !== undefined && differs(header.schema, asNumber);
    if (wrong) return `${status}, ${name}: ${wrong}`;
  }
  if (method === 'HEAD' || text === '' || headers['content-encoding']) return undefined;
  const type = (headers['content-type'] ?? '').split(';')[0];
  const content = response.content?.[type] ?? response.content?.['*/*'];
  if (!content) return `${status} is described without ${type || 'a body'}`;
  if (!type.endsWith('json')) return undefined;
  const wrong = differs(content.schema, JSON.parse(text));
  return wrong && `${status}: ${wrong}`;
}
