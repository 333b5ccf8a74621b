// SPDX-License-Identifier: MPL-2.0
// zlink for browsers: a client of a STREAM socket that listens on ws or wss. One file without dependencies, for a
// <script>, a bundler, or Node.js. README.md has a first program.
'use strict';

(() => {
  const Framing = Object.freeze({ LENGTH: 0, MESSAGES: 1, HEADERS: 3 });
  const HEADER_MAX = 65535;
  const EMPTY = new Uint8Array(0);
  const encoder = new TextEncoder();

  // Why a client ended by itself: the other side broke the framing, or sent more than maxSize.
  class ZlinkError extends Error {
    constructor(text, code) {
      super(text);
      this.name = 'ZlinkError';
      this.code = code; // of WebSocket, which the socket was told
    }
  }

  // What came: body and header are bytes, of which nothing else is kept.
  class Message {
    #text;

    constructor(body, header, text) {
      this.body = body;
      this.header = header; // with HEADERS
      this.#text = text;
    }

    // It came as text, with MESSAGES.
    get isText() {
      return this.#text !== undefined;
    }

    // The body as UTF-8.
    get text() {
      return this.#text ?? new TextDecoder().decode(this.body);
    }
  }

  // The bytes of a string, an ArrayBuffer, or a view of one.
  function bytesOf(value, what) {
    if (typeof value === 'string')
      return encoder.encode(value);
    if (value instanceof ArrayBuffer)
      return new Uint8Array(value);
    if (ArrayBuffer.isView(value))
      return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    throw new TypeError(`a ${what} is a string, an ArrayBuffer or a view of one`);
  }

  // What is sent for a message: the sizes, big endian, in front of header and body.
  function framed(framing, body, header) {
    const sizes = framing === Framing.HEADERS ? 6 : 4;
    const bytes = new Uint8Array(sizes + header.length + body.length), view = new DataView(bytes.buffer);
    if (sizes === 6)
      view.setUint16(0, header.length);
    view.setUint32(sizes - 4, body.length);
    bytes.set(header, sizes);
    bytes.set(body, sizes + header.length);
    return bytes;
  }

  // Cuts a stream of bytes, which comes in pieces of any size, into messages. Each byte is copied once.
  class Reader {
    #sizes; // of the next message, as they come
    #have = 0; // of them
    #content = null; // header and body, as they come
    #filled = 0; // of that
    #header = 0; // its size
    #maxSize;

    constructor(framing, maxSize) {
      this.#sizes = new Uint8Array(framing === Framing.HEADERS ? 6 : 4);
      this.#maxSize = maxSize;
    }

    // Calls deliver with each message that is whole with this piece.
    add(piece, deliver) {
      for (let at = 0; at < piece.length;) {
        at += this.#content ? this.#fill(piece.subarray(at)) : this.#measure(piece.subarray(at));
        if (this.#content && this.#filled === this.#content.length)
          deliver(this.#next());
      }
    }

    #measure(piece) {
      const taken = Math.min(this.#sizes.length - this.#have, piece.length);
      this.#sizes.set(piece.subarray(0, taken), this.#have);
      this.#have += taken;
      if (this.#have < this.#sizes.length)
        return taken;
      const view = new DataView(this.#sizes.buffer);
      this.#header = this.#have === 6 ? view.getUint16(0) : 0;
      const size = this.#header + view.getUint32(this.#have - 4);
      if (size > this.#maxSize)
        throw new ZlinkError(`a message of ${size} bytes came, and maxSize is ${this.#maxSize}`, 4009);
      this.#content = new Uint8Array(size);
      return taken;
    }

    #fill(piece) {
      const taken = Math.min(this.#content.length - this.#filled, piece.length);
      this.#content.set(piece.subarray(0, taken), this.#filled);
      this.#filled += taken;
      return taken;
    }

    #next() {
      const message = new Message(this.#content.subarray(this.#header), this.#content.subarray(0, this.#header));
      this.#content = null;
      this.#have = this.#filled = 0;
      return message;
    }
  }

  // A connection. It reads at once, so messages wait here until somebody takes them, by receive or by a loop.
  class Client {
    #socket;
    #framing;
    #reader;
    #received = [];
    #next = 0; // place of the next message in that
    #waiting = []; // { resolve, reject } of receives
    #over = null; // how it ended
    #error;
    #wasOpen = false;
    #failed; // breaks opened
    #ended; // keeps closed

    // protocols: subprotocols of WebSocket. maxSize: of a message, header and body. WebSocket: of Node.js without one.
    constructor(url, { framing = Framing.LENGTH, protocols = [], maxSize = 16 << 20, WebSocket = globalThis.WebSocket } = {}) {
      if (!Object.values(Framing).includes(framing))
        throw new RangeError(`there is no framing ${framing} over WebSocket`);
      this.#framing = framing;
      this.#reader = new Reader(framing, maxSize);
      this.#socket = new WebSocket(url, protocols);
      this.#socket.binaryType = 'arraybuffer';
      // Kept when it is up, with this client; broken when it cannot connect.
      this.opened = new Promise((resolve, reject) => {
        this.#socket.onopen = () => {
          this.#wasOpen = true;
          resolve(this);
        };
        this.#failed = () => reject(new ZlinkError(`cannot connect to ${url}`, 1006));
      });
      this.opened.catch(() => {}); // whoever waits for closed only is not told twice
      // Kept when it has ended: { code, reason, wasClean, error }.
      this.closed = new Promise((resolve) => {
        this.#ended = resolve;
      });
      this.#socket.onclose = ({ code, reason, wasClean }) => this.#end({ code, reason, wasClean, error: this.#error });
      this.#socket.onerror = () => { // some of Node.js say no more when they cannot connect
        if (!this.#wasOpen)
          this.#end({ code: 1006, reason: '', wasClean: false, error: this.#error });
      };
      this.#socket.onmessage = (event) => this.#take(event.data, maxSize);
    }

    get isOpen() {
      return this.#socket.readyState === 1;
    }

    // The subprotocol that the server has chosen, or ''.
    get protocol() {
      return this.#socket.protocol;
    }

    // Bytes that were sent, and that the network has not taken.
    get bufferedAmount() {
      return this.#socket.bufferedAmount;
    }

    // Queues a message: a string, an ArrayBuffer or a view of one. With MESSAGES a string is sent as text; with HEADERS
    // there may be a header of at most 65535 bytes.
    send(body, { header = EMPTY } = {}) {
      if (!this.isOpen)
        throw new ZlinkError('the connection is not open', 1006);
      const head = bytesOf(header, 'header');
      if (head.length > (this.#framing === Framing.HEADERS ? HEADER_MAX : 0))
        throw new RangeError(this.#framing === Framing.HEADERS ? 'a header has at most 65535 bytes' : 'only HEADERS has headers');
      if (this.#framing !== Framing.MESSAGES)
        this.#socket.send(framed(this.#framing, bytesOf(body, 'body'), head));
      else
        this.#socket.send(typeof body === 'string' ? body : bytesOf(body, 'body'));
    }

    // The next message; null: the connection has ended, and nothing is left.
    receive() {
      if (this.#next < this.#received.length) {
        const message = this.#received[this.#next];
        this.#received[this.#next++] = undefined;
        if (this.#next === this.#received.length)
          this.tryReceiveMany();
        return Promise.resolve(message);
      }
      if (this.#over)
        return this.#error ? Promise.reject(this.#error) : Promise.resolve(null);
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }

    // What is there, perhaps nothing: for the loop of a game.
    tryReceiveMany() {
      const all = this.#received.slice(this.#next);
      this.#received = [];
      this.#next = 0;
      return all;
    }

    // Messages, until the connection ends.
    async *[Symbol.asyncIterator]() {
      for (let message = await this.receive(); message; message = await this.receive())
        yield message;
    }

    // 1000, or 3000 to 4999.
    close(code = 1000, reason = '') {
      this.#socket.close(code, reason);
      return this.closed;
    }

    #take(data, maxSize) {
      if (this.#error)
        return;
      try {
        if (this.#framing === Framing.MESSAGES)
          this.#deliver(this.#one(data, maxSize));
        else if (typeof data === 'string')
          throw new ZlinkError('text came, which only MESSAGES has', 4003);
        else
          this.#reader.add(new Uint8Array(data), (message) => this.#deliver(message));
      } catch (error) {
        this.#error = error; // the browser may have no memory, too
        this.#socket.close(error.code ?? 4009, error.message.slice(0, 100));
      }
    }

    #one(data, maxSize) {
      const text = typeof data === 'string' ? data : undefined;
      const body = text === undefined ? new Uint8Array(data) : encoder.encode(text);
      if (body.length > maxSize)
        throw new ZlinkError(`a message of ${body.length} bytes came, and maxSize is ${maxSize}`, 4009);
      return new Message(body, EMPTY, text);
    }

    #deliver(message) {
      if (this.#waiting.length > 0)
        this.#waiting.shift().resolve(message);
      else
        this.#received.push(message);
    }

    #end(how) {
      if (this.#over)
        return;
      this.#over = how;
      this.#failed(); // which changes nothing once it was open
      this.#ended(how);
      for (const { resolve, reject } of this.#waiting.splice(0))
        this.#error ? reject(this.#error) : resolve(null);
    }
  }

  const zlink = { Client, Framing, Message, Reader, ZlinkError };
  if (typeof module === 'object' && module.exports)
    module.exports = zlink;
  else
    globalThis.zlink = zlink;
})();
