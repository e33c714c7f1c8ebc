/// Time as the stand-in sees it: the machine's, moved by a skew, or stopped.

export class Clock {
  #stoppedAt = null;
  skewSeconds = 0;

  /// Milliseconds.
  get milliseconds() {
    return (this.#stoppedAt ?? Date.now()) + this.skewSeconds * 1000;
  }

  /// Unix seconds, as Stripe writes all times.
  get now() {
    return Math.floor(this.milliseconds / 1000);
  }

  /// `now` in milliseconds stops the clock there, null lets it run again.
  set({ now, skewSeconds }) {
    if (now !== undefined) this.#stoppedAt = now;
    if (skewSeconds !== undefined) this.skewSeconds = skewSeconds;
  }

  get state() {
    return {
      now: new Date(this.milliseconds).toISOString(),
      stopped: this.#stoppedAt !== null,
      skewSeconds: this.skewSeconds,
    };
  }
}

/// The time `count` intervals later; the 31st becomes the last day of a shorter month.
export function addInterval(time, { interval, interval_count: count }) {
  const days = { day: 1, week: 7 }[interval];
  if (days) return time + days * count * 86_400;
  const date = new Date(time * 1000);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + count * (interval === 'year' ? 12 : 1));
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return Math.floor(date.getTime() / 1000);
}
