const REMEMBERED = 10_000;

/// What was asked of a server, newest last; the oldest fall out.
export class RequestLog {
  #entries = [];

  get entries() {
    return this.#entries;
  }
  clear() {
    this.#entries = [];
  }

  /// `more` is what else there is to say; the status is put in when there is an answer.
  open(request, more) {
    const entry = {
      method: request.method,
      url: request.url,
      status: null,
      startedAt: new Date().toISOString(),
      ...more,
    };
    this.#entries.push(entry);
    if (this.#entries.length > REMEMBERED) this.#entries.shift();
    return entry;
  }
}
