// A minimal keep-alive HTTP client: cheap enough to hold ten thousand connections in one Node
// process.
import { connect } from 'node:net';

export class Connection {
  /** Opens a connection from `localAddress`, any of 127.0.0.0/8. */
  static open(port, localAddress = '127.0.0.1') {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
      socket.once('connect', () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.received = '';
    socket.setEncoding('latin1');
    socket.removeAllListeners('error');
    socket.on('data', data => {
      this.received += data;
      this.#deliver();
    });
    socket.on('error', error => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  get isOpen() {
    return !this.socket.destroyed;
  }
  close() {
    this.socket.destroy();
  }

  get(path, token) {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      );
    });
  }

  #deliver() {
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0 || !this.waiting) return;
    const head = this.received.slice(0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.received.length < end + 4 + length) return;
    const body = this.received.slice(end + 4, end + 4 + length);
    this.received = this.received.slice(end + 4 + length);
    const { resolve } = this.waiting;
    this.waiting = null;
    resolve({ status: Number(head.slice(9, 12)), body });
  }

  #end(error) {
    this.socket.destroy();
    this.waiting?.reject(error);
    this.waiting = null;
  }
}

/** Runs `job(index)` for 0 … count-1, `width` at a time. */
export async function inParallel(count, width, job) {
  let next = 0;
  const lane = async number => {
    while (next < count) await job(next++, number);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, (_, number) => lane(number)));
}
