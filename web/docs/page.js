/// The page at /docs: a list of all routes, and one of them with everything that is known of it.
import { contentsOf, inWords, operationsOf, partsOf, resolve } from './description.js';
import { indented, send } from './request.js';

const at = (id) => document.getElementById(id);

/// An element; text and other elements inside.
function element(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...inside.flat().filter((part) => part !== undefined && part !== ''));
  return made;
}

/// As much of Markdown as the descriptions use: paragraphs, **bold**, `code`.
function prose(text = '') {
  const inline = (line) => line.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith('**')) return element('strong', {}, part.slice(2, -2));
    if (part.startsWith('`') && part.length > 1) return element('code', {}, part.slice(1, -1));
    return part;
  });
  return text.trim().split(/\n\s*\n/).filter(Boolean)
    .map((paragraph) => element('p', {}, inline(paragraph.replace(/\s+/g, ' '))));
}

const asText = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));

// -- one route ------------------------------------------------------------------------------------

function schemaTree(description, schema) {
  const parts = partsOf(description, schema);
  return element('ul', { class: 'schema' }, parts.map(({ name, schema: part, required }) => {
    const line = [element('code', {}, name), ' ', element('span', { class: 'faint' },
      inWords(part), required || name === 'each' ? '' : ', may be absent'), ' ', part.description ?? ''];
    if (partsOf(description, part).length === 0) return element('li', {}, line);
    return element('li', {}, element('details', {}, element('summary', {}, line), schemaTree(description, part)));
  }));
}

function contentView(description, { type, schema, example }) {
  const is = resolve(description, schema) ?? {};
  return [
    element('h3', {}, type),
    partsOf(description, is).length
      ? schemaTree(description, is) : element('p', { class: 'faint' }, inWords(is)),
    element('pre', { tabindex: '0', 'aria-label': `Example, ${type}` }, asText(example ?? '')),
  ];
}

function parametersView(operation) {
  if (operation.parameters.length === 0) return [];
  const rows = operation.parameters.map(({ name, in: where, required, schema, description }) =>
    element('tr', {}, element('td', {}, element('code', {}, name)),
      element('td', {}, where, required ? ', required' : ''),
      element('td', {}, inWords(schema)), element('td', {}, prose(description))));
  const head = ['Name', 'In', 'What', ''].map((text) => element('th', { scope: 'col' }, text));
  return [element('h2', {}, 'Parameters'),
    element('table', {}, element('thead', {}, element('tr', {}, head)), element('tbody', {}, rows))];
}

function securityView(description, operation) {
  const schemes = description.components.securitySchemes;
  const ways = operation.security.map((way) => Object.keys(way).join(' and ') || 'anyone');
  const names = [...new Set(operation.security.flatMap((way) => Object.keys(way)))];
  return [element('h2', {}, 'Who may call'), element('p', {}, ways.join(', or ')),
    element('table', {}, element('tbody', {}, names.map((name) =>
      element('tr', {}, element('td', {}, element('code', {}, name)),
        element('td', {}, prose(schemes[name].description))))))];
}

function responsesView(description, operation) {
  return [element('h2', {}, 'Answers'), ...Object.entries(operation.responses).map(([status, given]) => {
    const response = resolve(description, given);
    const headers = Object.entries(response.headers ?? {}).map(([name, header]) =>
      element('li', {}, element('code', {}, name), ' ', resolve(description, header).description ?? ''));
    return element('details', { open: status.startsWith('2') },
      element('summary', {}, element('code', {}, status), ' ', prose(response.description).flatMap((p) => [...p.childNodes])),
      contentsOf(description, response).flatMap((content) => contentView(description, content)),
      headers.length ? element('details', {}, element('summary', {}, 'Headers'), element('ul', {}, headers)) : '');
  })];
}

// -- try it ---------------------------------------------------------------------------------------

function inputFor(description, { name, in: where, required, schema, example }) {
  const attributes = { name: `${where} ${name}`, required, autocomplete: 'off', spellcheck: 'false' };
  const is = resolve(description, schema);
  const values = is.enum ?? (is.type === 'boolean' ? [true, false] : undefined);
  const input = values
    ? element('select', attributes, [...(required ? [] : ['']), ...values].map((value) =>
      element('option', {}, String(value))))
    : element('input', { ...attributes, placeholder: example ?? is.examples?.[0] });
  return element('label', { class: 'field' }, element('code', {}, name), input);
}

function answerView({ status, good, milliseconds, headers, text }) {
  const type = headers.find(([name]) => name === 'content-type')?.[1] ?? '';
  return [
    element('p', {}, element('span', { class: `status ${good ? 'good' : 'bad'}` }, status), ` in ${milliseconds} ms`),
    element('pre', { tabindex: '0', 'aria-label': 'Body of the answer' }, /json/.test(type) ? indented(text) : text),
    element('details', {}, element('summary', {}, 'Headers'),
      element('pre', {}, headers.map(([name, value]) => `${name}: ${value}`).join('\n'))),
  ];
}

function tryView(description, operation) {
  const [content] = contentsOf(description, operation.body);
  const isForm = content?.type === 'multipart/form-data';
  const body = content && !isForm && element('textarea', { rows: 8, 'aria-label': 'Body', spellcheck: 'false' });
  if (body) body.value = asText(content.example ?? '');
  const files = !isForm ? [] : partsOf(description, resolve(description, content.schema)).map(({ name, required }) =>
    element('label', { class: 'field' }, element('code', {}, name), element('input', { type: 'file', name, required })));
  const answer = element('div', { id: 'answer', 'aria-live': 'polite' });
  const form = element('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      const filled = new FormData(form);
      const values = Object.fromEntries([...filled].filter(([, value]) => typeof value === 'string'));
      for (const name of Object.keys(values)) filled.delete(name); // the files are left
      answer.replaceChildren(element('p', { class: 'faint' }, 'Sent …'));
      try {
        const given = await send(operation, { values, body: isForm ? filled : body?.value, type: content?.type, token: at('token').value });
        answer.replaceChildren(...answerView(given));
      } catch (error) {
        answer.replaceChildren(element('p', { class: 'status bad' }, `No answer: ${error.message}`));
      }
    },
  }, operation.parameters.filter(({ in: where }) => where !== 'cookie')
    .map((parameter) => inputFor(description, parameter)), files, body || '', element('button', {}, 'Send'));
  return [element('h2', {}, 'Try it'),
    element('p', { class: 'faint' }, 'Sends a real request to this service, with the token above and this browser\'s cookies.'),
    form, answer];
}

function operationView(description, operation) {
  const body = contentsOf(description, operation.body);
  return [
    element('h1', {}, element('span', { class: `method ${operation.method}` }, operation.method), ' ',
      element('span', { class: 'path' }, operation.path)),
    element('p', {}, element('strong', {}, operation.summary)),
    ...prose(operation.description),
    ...securityView(description, operation),
    ...parametersView(operation),
    ...(body.length ? [element('h2', {}, 'Body'), ...body.flatMap((content) => contentView(description, content))] : []),
    ...tryView(description, operation),
    ...responsesView(description, operation),
  ];
}

function overview(description) {
  return [
    element('h1', {}, `${description.info.title} ${description.info.version}`),
    element('p', {}, element('strong', {}, description.info.summary)),
    ...prose(description.info.description),
    ...description.tags.flatMap(({ name, description: text }) => [element('h2', {}, name), ...prose(text)]),
  ];
}

// -- the list -------------------------------------------------------------------------------------

function listView(description, operations) {
  return description.tags.map(({ name }) => element('section', {}, element('h2', {}, name),
    element('ul', {}, operations.filter(({ tags }) => tags.includes(name)).map((operation) =>
      element('li', { 'data-words': `${operation.method} ${operation.path} ${operation.summary} ${operation.operationId}`.toLowerCase() },
        element('a', { href: `#${operation.operationId}`, title: operation.summary },
          element('span', { class: `method ${operation.method}` }, operation.method),
          element('span', { class: 'path' }, operation.path)))))));
}

function search() {
  const words = at('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  const items = [...at('routes').querySelectorAll('li')];
  for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
  for (const section of at('routes').children)
    section.hidden = !section.querySelector('li:not([hidden])');
  const left = items.filter((item) => !item.hidden).length;
  at('found').textContent = `${left} of ${items.length} routes`;
}

// -- all of it ------------------------------------------------------------------------------------

const description = await (await fetch('/openapi.json')).json();
const operations = operationsOf(description);

function show() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const operation = operations.find(({ operationId }) => operationId === wanted);
  if (wanted === 'content') return;
  const view = operation ? operationView(description, operation) : overview(description);
  at('content').replaceChildren(...view);
  at('content').scrollTop = 0;
  document.title = operation ? `${operation.method.toUpperCase()} ${operation.path}: Binnacle` : 'Binnacle: routes';
  for (const link of at('routes').querySelectorAll('a')) {
    if (link.getAttribute('href') === `#${wanted}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

at('routes').replaceChildren(...listView(description, operations));
at('search').addEventListener('input', search);
addEventListener('hashchange', () => { show(); at('content').focus(); });
search();
show();
