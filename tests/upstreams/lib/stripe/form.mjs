import { invalid } from './errors.mjs';

/// application/x-www-form-urlencoded with brackets: `items[0][price]=p&expand[]=customer` becomes
/// {items: {0: {price: 'p'}}, expand: {…}}. Every value is a string or a hash; what is a list, the
/// types of the parameters say.

const DEEPEST = 10;

export function parseForm(text) {
  const form = Object.create(null);
  if (text === '') return form;
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=');
    if (at < 1) throw invalid(`Invalid form encoding: '${pair}' is no name=value`);
    put(form, decode(pair.slice(0, at)), decode(pair.slice(at + 1)));
  }
  return form;
}

/// The same parameters in any order give the same text.
export function canonical(text) {
  return text
    .split('&')
    .map((pair) => pair.split('=').map(decode).join('='))
    .sort()
    .join('&');
}

function decode(text) {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalid(`Invalid form encoding: '${text}' is not percent-encoded UTF-8`);
  }
}

function put(form, name, value) {
  if (!name.includes('[')) return set(form, name, value, name);
  const shape = /^([^[\]]+)((?:\[[^[\]]*\])+)$/.exec(name);
  if (!shape) throw invalid(`Invalid form encoding: '${name}' has broken brackets`, name);
  const keys = [shape[1], ...shape[2].slice(1, -1).split('][')];
  if (keys.length > DEEPEST) throw invalid(`Invalid form encoding: '${name}' is too deep`, name);
  let hash = form;
  keys.slice(0, -1).forEach((key) => {
    const step = key === '' ? Object.keys(hash).length : key;
    hash[step] ??= Object.create(null);
    hash = hash[step];
    if (typeof hash === 'string')
      throw invalid(`Invalid form encoding: '${name}' is both a value and a hash`, name);
  });
  const last = keys.at(-1);
  return set(hash, last === '' ? Object.keys(hash).length : last, value, name);
}

function set(hash, key, value, name) {
  if (key in hash) throw invalid(`Invalid form encoding: '${name}' is given twice`, name);
  hash[key] = value;
}
