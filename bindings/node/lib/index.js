// SPDX-License-Identifier: MPL-2.0
// zlink for Node.js: contexts and STREAM sockets in the mode FAST. README.md says who owns what.
'use strict';

const path = require('path');
const { Option, ContextOption, Event, Reason, WIDE, TEXT, COUNTERS } = require('./constants.js');

const native = require(process.env.ZLINK_ADDON || path.join(__dirname, '..', 'zlink.node'));

// A call that failed: code, such as 'EADDRINUSE', errno, and in detail one sentence, or ''.
class ZlinkError extends Error {
  constructor(errno, code, text, detail) {
    super(detail ? `${text}: ${detail}` : text);
    this.name = 'ZlinkError';
    this.errno = errno;
    this.code = code;
    this.detail = detail;
  }
}
native.errorClass(ZlinkError);

const EAGAIN = 11, EHOSTUNREACH = 113;

// What was received. Body and header are views of the bytes of all messages that came with it.
class Message {
  #kept;

  constructor(peer, event, body, isText, header, reason, closeCode, kept) {
    this.peer = peer;
    this.event = event;
    this.body = body;
    this.isText = isText;
    this.header = header;
    this.reason = reason;
    this.closeCode = closeCode;
    this.#kept = kept;
  }

  get isData() {
    return this.event === Event.DATA;
  }

  // Of an event: 'Peer-Address', 'Close-Reason', and what Option.PROPERTIES names; null: it has none.
  property(name) {
    return this.#kept === undefined ? null : native.property(this.#kept, name);
  }
}

// Whether there was the peer that a call ends.
function wasThere(end) {
  try {
    end();
    return true;
  } catch (error) {
    if (error.errno !== EHOSTUNREACH)
      throw error;
    return false;
  }
}

const EMPTY = Buffer.alloc(0);
const COLUMNS = 7; // as native.c has them

function messagesOf(batch) {
  const [table, bodies, kept] = native.batchRead(batch);
  const view = (at, size) => (size === 0 ? EMPTY : bodies.subarray(at, at + size));
  const all = new Array(table.length / COLUMNS);
  for (let i = 0, row = 0; i < all.length; i++, row += COLUMNS) {
    const event = table[row + 1], at = table[row + 2], headed = table[row + 6];
    all[i] = event === Event.DATA
      ? new Message(table[row], event, view(at, table[row + 3]), table[row + 4] === 1, view(at - headed, headed), Reason.UNKNOWN, 0)
      : new Message(table[row], event, EMPTY, false, EMPTY, table[row + 4], table[row + 5], kept[i]);
  }
  return all;
}

// What follows looks at arguments: the addon would cut a number to its bits, and a text at its first NUL.

function keyOf(key) {
  if (key === undefined)
    return undefined;
  const wide = BigInt(key);
  if (wide !== BigInt.asUintN(64, wide))
    throw new RangeError(`a key is a number of 64 bits, not ${key}`);
  return wide;
}

function peerOf(peer) {
  if (!Number.isInteger(peer) || peer < 0 || peer > 0xffffffff)
    throw new RangeError(`a peer is a whole number of 32 bits, not ${String(peer)}`);
  return peer;
}

function intOf(value, what) {
  if (!Number.isInteger(value) || value !== (value | 0))
    throw new RangeError(`${what} is a whole number of 32 bits, not ${String(value)}`);
  return value;
}

function textOf(text, what) {
  if (typeof text !== 'string' || text.includes('\0'))
    throw new TypeError(`${what} is a text without a NUL, not ${String(text)}`);
  return text;
}

const maybe = (check, value, what) => (value === undefined || value === null ? undefined : check(value, what));

class Context {
  #handle = native.contextNew();
  #closed;

  constructor({ ioThreads } = {}) {
    if (ioThreads !== undefined)
      this.set(ContextOption.IO_THREADS, ioThreads);
  }

  // options: by their names in small letters, { profile: 1, send_bytes: 65536 }.
  socket(options = {}) {
    return new Socket(this.#handle, options);
  }

  set(option, value) {
    native.contextSet(this.#handle, intOf(option, 'an option'), intOf(value, 'its value'));
  }

  get(option) {
    return native.contextGet(this.#handle, intOf(option, 'an option'));
  }

  // Programs of the same user, such as zlink-top, may ask for the statistics at this path; null ends that.
  setAdmin(path) {
    native.contextSetAdmin(this.#handle, textOf(path ?? '', 'a path'));
  }

  // Ends every loop and makes every later call on its sockets fail with ETERM.
  shutdown() {
    native.contextShutdown(this.#handle);
  }

  // Shuts down. The promise is kept when its last socket is closed and what was sent is out (LINGER).
  close() {
    this.#closed ??= native.contextClose(this.#handle);
    return this.#closed;
  }
}

// Native messages, for what goes back as it came.
class Batch {
  #handle;

  constructor(capacity = 1024) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 65536)
      throw new RangeError('a batch has room for 1 to 65536 messages');
    this.#handle = native.batchNew(capacity);
  }

  // Who sent the message with this index, or is to get it.
  peer(index) {
    return native.batchPeer(this.#handle, intOf(index, 'an index'));
  }

  // For Socket.
  static handleOf(batch) {
    if (!(batch instanceof Batch))
      throw new TypeError('a Batch is wanted');
    return batch.#handle;
  }
}

class Socket {
  #context; // is not collected before the socket
  #handle;
  #batch = native.batchNew(256);
  #received = []; // the last one first
  #receiving = false;

  constructor(context, options) {
    this.#context = context;
    this.#handle = native.socketNew(context);
    try {
      for (const [name, value] of Object.entries(options)) {
        const option = Option[name.toUpperCase()];
        if (option === undefined)
          throw new ZlinkError(22, 'EINVAL', 'Invalid argument', `there is no option ${name}`);
        this.set(option, value);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  set(option, value) {
    const set = TEXT.has(option) ? native.setText : WIDE.has(option) ? native.setWide : native.setInt;
    if (TEXT.has(option) ? typeof value !== 'string' : !Number.isInteger(value))
      throw new TypeError(`option ${option} is a ${TEXT.has(option) ? 'text' : 'whole number'}, not ${value}`);
    if (set === native.setText)
      textOf(value, `option ${option}`);
    else if (set === native.setInt ? value !== (value | 0) : !Number.isSafeInteger(value))
      throw new ZlinkError(22, 'EINVAL', 'Invalid argument', `option ${option} has ${set === native.setInt ? 32 : 53} bits, and ${value} has more`);
    set(this.#handle, option, value);
  }

  get(option) {
    return TEXT.has(option) ? native.getText(this.#handle, option)
      : native.getNumber(this.#handle, option, WIDE.has(option));
  }

  // The last bound endpoint, with the port that the system chose.
  get lastEndpoint() {
    return this.get(Option.LAST_ENDPOINT);
  }

  // Listens, and returns lastEndpoint.
  bind(endpoint) {
    native.endpoint(this.#handle, 0, textOf(endpoint, 'an endpoint'));
    return this.lastEndpoint;
  }

  connect(endpoint) {
    native.endpoint(this.#handle, 1, textOf(endpoint, 'an endpoint'));
  }

  unbind(endpoint) {
    native.endpoint(this.#handle, 2, textOf(endpoint, 'an endpoint'));
  }

  disconnect(endpoint) {
    native.endpoint(this.#handle, 3, textOf(endpoint, 'an endpoint'));
  }

  // One after the other: another one that waits gets EBUSY.
  async #waitFor(receive) {
    if (this.#receiving)
      throw new ZlinkError(16, 'EBUSY', 'Device or resource busy', 'somebody receives from this socket already');
    this.#receiving = true;
    try {
      for (;;) {
        const got = receive();
        if (got)
          return got;
        await new Promise((resolve, reject) => {
          try {
            if (native.wait(this.#handle, resolve))
              resolve();
          } catch (error) {
            reject(error);
          }
        });
      }
    } finally {
      this.#receiving = false;
    }
  }

  // What is there, at least one message.
  async receiveMany() {
    if (this.#received.length > 0)
      return this.#received.splice(0).reverse();
    return this.#waitFor(() => native.batchReceive(this.#handle, this.#batch) > 0 && messagesOf(this.#batch));
  }

  // What is there, perhaps nothing.
  tryReceiveMany() {
    if (this.#received.length > 0)
      return this.#received.splice(0).reverse();
    return native.batchReceive(this.#handle, this.#batch) > 0 ? messagesOf(this.#batch) : [];
  }

  // One message.
  async receive() {
    if (this.#received.length === 0)
      this.#received = (await this.receiveMany()).reverse();
    return this.#received.pop();
  }

  // Messages, until the context is shut down or the socket is closed.
  async *[Symbol.asyncIterator]() {
    for (;;) {
      let messages;
      try {
        messages = await this.receiveMany();
      } catch (error) {
        if (error.code === 'ETERM' || this.closed)
          return;
        throw error;
      }
      this.#received = messages.reverse();
      while (this.#received.length > 0)
        yield this.#received.pop();
      await new Promise(setImmediate); // others have a turn between batches
    }
  }

  // Fills a batch with what is there, at least one message, and returns how many came.
  async receiveBatch(batch) {
    const handle = Batch.handleOf(batch);
    return this.#waitFor(() => native.batchReceive(this.#handle, handle));
  }

  // Sends what is in a batch, except events: messages go back to their peers. Returns { index, errno } of each that was not
  // taken, 11 (EAGAIN) or 113 (EHOSTUNREACH).
  sendBatch(batch) {
    const flat = native.batchSend(this.#handle, Batch.handleOf(batch)), refused = [];
    for (let i = 0; i < flat.length; i += 2)
      refused.push({ index: flat[i], errno: flat[i + 1] });
    return refused;
  }

  // Queues a copy of the body for a peer, or throws EAGAIN: its queue is full. With a key it takes the place of the unsent
  // one with the same key. text is for framing 1, a header of at most 65535 bytes for framing 3.
  trySend(peer, body, { text = false, key, header } = {}) {
    native.send(this.#handle, peerOf(peer), body, text, keyOf(key), header);
  }

  // The same; while the queue is full it tries again after 1 to 32 ms.
  async send(peer, body, options) {
    for (let pause = 1; ; pause = Math.min(2 * pause, 32)) {
      try {
        return this.trySend(peer, body, options);
      } catch (error) {
        if (error.errno !== EAGAIN)
          throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  // Sends to the members of a group, except one perhaps, and never waits: how many took it. With a key it takes the
  // place of the unsent one with the same key.
  publish(group, body, { text = false, key, header, except = 0 } = {}) {
    return native.publish(this.#handle, textOf(group, 'a group'), body, text, keyOf(key), header, peerOf(except));
  }

  // Sends to many peers, and never waits: { taken, errors }, a Map of the errno of those that did not take it.
  multicast(peers, body, { text = false, header } = {}) {
    const ids = Uint32Array.from(peers, peerOf), codes = new Int32Array(ids.length), errors = new Map();
    const taken = native.multicast(this.#handle, ids, body, text, codes, header);
    codes.forEach((code, i) => code !== 0 && errors.set(ids[i], code));
    return { taken, errors };
  }

  join(peer, group) {
    native.member(this.#handle, peerOf(peer), textOf(group, 'a group'), true);
  }

  leave(peer, group) {
    native.member(this.#handle, peerOf(peer), textOf(group, 'a group'), false);
  }

  // Closes a connection once what is queued for it has arrived; a peer of ws or wss is told the code. False: it had ended
  // already, which a program that is told later cannot know.
  closePeer(peer, code, reason) {
    return wasThere(() => (code === undefined
      ? native.endPeer(this.#handle, peerOf(peer), 0)
      : native.tellPeer(this.#handle, peerOf(peer), intOf(code, 'a code'), maybe(textOf, reason, 'a reason'), false)));
  }

  // Resets a connection at once; what is queued for it is discarded. False: it had ended already.
  abortPeer(peer) {
    return wasThere(() => native.endPeer(this.#handle, peerOf(peer), 1));
  }

  // Decide about somebody who asks (Event.ASKING). Of a request for a WebSocket the protocol is one that it offers, or '' for
  // none; without it that of ws_protocols.
  acceptPeer(peer, protocol) {
    native.acceptPeer(this.#handle, peerOf(peer), maybe(textOf, protocol, 'a protocol'));
  }

  refusePeer(peer, status = 0, text = undefined) {
    native.tellPeer(this.#handle, peerOf(peer), intOf(status, 'a status'), maybe(textOf, text, 'a text'), true);
  }

  // A property of a peer that is there; null: it has none of that name.
  peerProperty(peer, name) {
    return native.peerProperty(this.#handle, peerOf(peer), textOf(name, 'a name'));
  }

  // Stops listening and dialling, and ends all peers over that time; Event.DRAINED says when nobody is left.
  drain(spreadMs, code = 0) {
    native.drain(this.#handle, intOf(spreadMs, 'a time in ms'), intOf(code, 'a code'));
  }

  // The counters of zlink_stream_stats; ended_by has an array by Reason.
  stats() {
    const all = native.stats(this.#handle), named = {};
    let at = 0;
    for (const name of COUNTERS)
      named[name] = name === 'ended_by' ? all.slice(at, (at += 32)) : all[at++];
    return named;
  }

  // Ends who waits; what was sent goes out for up to LINGER. Twice is once.
  close() {
    if (!this.closed) {
      this.closed = true;
      native.socketClose(this.#handle);
    }
  }

  closed = false;
}

// Queues a copy of the body for a peer of any socket of the process, also of other workers: its id is enough. It
// throws EAGAIN: its queue is full; EHOSTUNREACH: it has gone, or its socket is closed.
function sendAny(peer, body, { text = false, header } = {}) {
  native.send(null, peerOf(peer), body, text, undefined, header);
}

const LEVELS = [null, 'error', 'warning', 'info', 'debug'];

// Has a function get what happens at all sockets of the process, up to a level: call (level, line), on the event loop
// of who asks for it. null ends it. It does not keep the process running, and of several workers the last one gets it.
function setLog(level, call) {
  const number = level === null ? 0 : LEVELS.indexOf(level);
  if (number < 0 || (number > 0 && typeof call !== 'function'))
    throw new TypeError(`setLog takes null, or 'error', 'warning', 'info' or 'debug' and a function, not ${String(level)} and ${typeof call}`);
  native.setLog(number, number === 0 ? null : (of, line, leftOut) => {
    if (leftOut > 0)
      call('error', `too many lines, some are left out lines=${leftOut}`);
    call(LEVELS[of], line);
  });
}

module.exports = { Context, Socket, Batch, Message, ZlinkError, Option, ContextOption, Event, Reason,
  libraryVersion: native.version, sendAny, setLog };
