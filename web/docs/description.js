/// Reads an OpenAPI 3.1 document: what is referred to, what a schema looks like in words, and an
/// example of it. Knows nothing of the page.

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/// What `$ref` leads to; what stands beside it wins.
export function resolve(document, node) {
  if (!node?.$ref) return node;
  const steps = node.$ref.replace(/^#\//, '').split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const target = steps.reduce((at, step) => at[step], document);
  const { $ref, ...beside } = node;
  return { ...resolve(document, target), ...beside };
}

/// Every operation, in the order of the document.
export function operationsOf(document) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const operation = item[method];
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])]
        .map((parameter) => resolve(document, parameter));
      return { ...operation, path, method, parameters, body: resolve(document, operation.requestBody),
        security: operation.security ?? document.security ?? [{}] };
    }));
}

/// {type: 'application/json', schema, example} of what is sent or answered.
export function contentsOf(document, holder) {
  return Object.entries(holder?.content ?? {}).map(([type, content]) =>
    ({ type, schema: content.schema, example: content.example ?? exampleOf(document, content.schema) }));
}

/// "string or null, date-time", "one of active, inactive", …
export function inWords(schema) {
  if ('const' in schema) return `always ${JSON.stringify(schema.const)}`;
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  const parts = [[schema.type ?? (schema.oneOf ? 'one of these' : 'anything')].flat().join(' or ')];
  if (schema.format) parts.push(schema.format);
  if (schema.pattern) parts.push(`like ${schema.pattern}`);
  for (const [name, words] of [['minLength', 'at least'], ['maxLength', 'at most']])
    if (schema[name] > 1) parts.push(`${words} ${schema[name]} characters`);
  for (const [name, words] of [['minimum', 'from'], ['maximum', 'to']])
    if (name in schema) parts.push(`${words} ${schema[name]}`);
  if ('default' in schema) parts.push(`${JSON.stringify(schema.default)} unless given`);
  return parts.join(', ');
}

/// What a schema is made of: [{name, schema, required}].
export function partsOf(document, schema) {
  const parts = Object.entries(schema.properties ?? {}).map(([name, part]) =>
    ({ name, schema: resolve(document, part), required: schema.required?.includes(name) ?? false }));
  if (schema.items) parts.push({ name: 'each', schema: resolve(document, schema.items), required: true });
  if (typeof schema.additionalProperties === 'object')
    parts.push({ name: 'each by name', schema: resolve(document, schema.additionalProperties), required: true });
  (schema.oneOf ?? []).forEach((part, at) =>
    parts.push({ name: `${at + 1}.`, schema: resolve(document, part), required: true }));
  return parts;
}

/// The schema's own example, or one made of its parts.
export function exampleOf(document, schema) {
  const is = resolve(document, schema);
  if (!is) return undefined;
  for (const value of [is.example, is.examples?.[0], is.default, is.const, is.enum?.[0]])
    if (value !== undefined) return value;
  if (is.oneOf) return exampleOf(document, is.oneOf[0]);
  const [type] = [is.type].flat();
  if (type === 'object')
    return Object.fromEntries(Object.entries(is.properties ?? {})
      .filter(([name]) => is.required?.includes(name))
      .map(([name, part]) => [name, exampleOf(document, part)]));
  if (type === 'array') return is.items && Object.keys(is.items).length ? [exampleOf(document, is.items)] : [];
  if (is.format === 'date') return '2026-11-22';
  if (is.format === 'date-time') return '2026-11-22T09:00:00.000Z';
  return { string: '', integer: 0, number: 0, boolean: false }[type] ?? null;
}
