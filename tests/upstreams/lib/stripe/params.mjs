import { invalid, missing, unknown } from './errors.mjs';

/// The types of parameters. A type takes what the form holds (a string or a hash) and the name to
/// complain about, and gives the value; a hash of types is a schema.

const needsText = (value, param) => {
  if (typeof value !== 'string') throw invalid('Invalid string: {…}', param);
  return value;
};

const needsHash = (value, param) => {
  if (typeof value === 'string') throw invalid('Invalid object', param);
  return value;
};

export const text =
  (longest = 5000) =>
  (value, param) => {
    if (needsText(value, param) === '') {
      throw invalid(
        `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a `
          + `parameter; however '${param}' cannot be unset. You should remove '${param}' from your request or supply a `
          + 'non-empty value.',
        param,
        'parameter_invalid_empty',
      );
    }
    if (value.length > longest) {
      throw invalid(
        `Invalid string: ${value.slice(0, 10)}...; must be at most ${longest} characters`,
        param,
        'parameter_invalid_string_max_length',
      );
    }
    return value;
  };

/// An empty text takes the value away: null.
export const emptyable = (type) => (value, param) => (value === '' ? null : type(value, param));

export const email = (value, param) => {
  if (!/^[^\s@]+@[^\s@]+$/.test(text(512)(value, param))) {
    throw invalid(`Invalid email address: ${value}`, param, 'email_invalid');
  }
  return value;
};

export const webUrl = (value, param) => {
  // Braces: {CHECKOUT_SESSION_ID} is filled in later.
  if (!/^https?:\/\/[^\s/]+/.test(text()(value, param)))
    throw invalid('Not a valid URL', param, 'url_invalid');
  return value;
};

export const integer =
  (least = 0, most = Number.MAX_SAFE_INTEGER) =>
  (value, param) => {
    if (!/^-?\d{1,16}$/.test(needsText(value, param))) {
      throw invalid(`Invalid integer: ${value}`, param, 'parameter_invalid_integer');
    }
    const number = Number(value);
    if (number < least)
      throw invalid(
        `This value must be greater than or equal to ${least}.`,
        param,
        'parameter_invalid_integer',
      );
    if (number > most)
      throw invalid(
        `This value must be less than or equal to ${most}.`,
        param,
        'parameter_invalid_integer',
      );
    return number;
  };

export const boolean = (value, param) => {
  if (value !== 'true' && value !== 'false') throw invalid(`Invalid boolean: ${value}`, param);
  return value === 'true';
};

export const oneOf =
  (...values) =>
  (value, param) => {
    if (values.includes(needsText(value, param))) return value;
    throw invalid(`Invalid ${param}: must be one of ${values.join(', ')}`, param);
  };

export const hash = (schema) => (value, param) => read(schema, needsHash(value, param), param);

/// A hash of texts under any names.
export const texts = (longest) => (value, param) =>
  Object.fromEntries(
    Object.entries(needsHash(value, param)).map(([key, each]) => [
      key,
      text(longest)(each, `${param}[${key}]`),
    ]),
  );

/// Numbered from 0 without gaps.
export const list = (type) => (value, param) => {
  if (typeof value === 'string') throw invalid('Invalid array', param);
  return Object.keys(value).map((key, index) => {
    if (key !== String(index)) throw invalid('Invalid array', param);
    return type(value[key], `${param}[${key}]`);
  });
};

export const metadata = (value, param) => {
  if (value === '') return null;
  const pairs = Object.entries(needsHash(value, param));
  if (pairs.length > 50) throw invalid('Metadata can have up to 50 keys', param);
  for (const [key, each] of pairs) {
    const name = `${param}[${key}]`;
    if (key.length > 40) throw invalid('Metadata keys can have up to 40 characters', name);
    if (needsText(each, name).length > 500) {
      throw invalid(
        `Metadata values can have up to 500 characters, but you passed in a value that is ${each.length} `
          + 'characters.',
        name,
      );
    }
  }
  return Object.fromEntries(pairs);
};

/// A time, or a range {gt, gte, lt, lte} of them, as a test of times.
export const timeRange = (value, param) => {
  if (typeof value === 'string') {
    const exact = integer()(value, param);
    return (time) => time === exact;
  }
  const range = read(
    { gt: integer(), gte: integer(), lt: integer(), lte: integer() },
    value,
    param,
  );
  return (time) =>
    (range.gt === undefined || time > range.gt)
    && (range.gte === undefined || time >= range.gte)
    && (range.lt === undefined || time < range.lt)
    && (range.lte === undefined || time <= range.lte);
};

export const required = (type) =>
  Object.assign((value, param) => type(value, param), { required: true });

export const expand = list(text());

/// Every endpoint that answers a list takes these.
export const paging = {
  limit: integer(1, 100),
  starting_after: text(),
  ending_before: text(),
  expand,
};

/// What the schema makes of a form; refuses what it does not name and what it misses.
export function read(schema, form, prefix) {
  const nameOf = (key) => (prefix ? `${prefix}[${key}]` : key);
  const values = {};
  for (const key of Object.keys(form)) {
    if (!Object.hasOwn(schema, key)) throw unknown(nameOf(key));
    values[key] = schema[key](form[key], nameOf(key));
  }
  for (const key of Object.keys(schema)) {
    if (schema[key].required && values[key] === undefined) throw missing(nameOf(key));
  }
  return values;
}

/// Metadata as it is after an update: given keys replace, empty values and null take away.
export function mergeMetadata(before, change) {
  if (change === undefined) return before;
  if (change === null) return {};
  return Object.fromEntries(
    Object.entries({ ...before, ...change }).filter(([, value]) => value !== ''),
  );
}
