import { invalid, noSuch } from './errors.mjs';

/// Objects of one kind in the order of their creation; nothing is ever removed.
export class Collection {
  #objects = [];
  #positions = new Map();

  /// `noun` is what Stripe calls one of them when there is none, `path` where they are listed.
  constructor(noun, path) {
    Object.assign(this, { noun, path });
  }

  get all() {
    return this.#objects;
  }

  add(object) {
    this.#positions.set(object.id, this.#objects.length);
    this.#objects.push(object);
    return object;
  }

  find(id) {
    const position = this.#positions.get(id);
    return position === undefined ? undefined : this.#objects[position];
  }

  /// The object, or the refusal that names the parameter.
  get(id, param) {
    const object = this.find(id);
    if (!object || object.deleted) throw noSuch(this.noun, id, param);
    return object;
  }

  /// One page of those that `keep` keeps, the newest first.
  page(
    { limit = 10, starting_after: after, ending_before: before },
    keep = () => true,
    url = this.path,
  ) {
    if (after !== undefined && before !== undefined) {
      throw invalid(
        'You may only specify one of these parameters: starting_after, ending_before.',
        'starting_after',
      );
    }
    const step = before === undefined ? -1 : 1;
    const found = [];
    let at = this.#start(after, before) + step;
    for (; found.length <= limit && at >= 0 && at < this.#objects.length; at += step) {
      if (!this.#objects[at].deleted && keep(this.#objects[at])) found.push(this.#objects[at]);
    }
    const data = found.slice(0, limit);
    return {
      object: 'list',
      data: step === 1 ? data.reverse() : data,
      has_more: found.length > limit,
      url,
    };
  }

  #start(after, before) {
    const cursor = after ?? before;
    if (cursor === undefined) return this.#objects.length;
    const position = this.#positions.get(cursor);
    if (position === undefined)
      throw noSuch(this.noun, cursor, after === undefined ? 'ending_before' : 'starting_after');
    return position;
  }
}
