// SPDX-License-Identifier: MPL-2.0
// A WebSocket client with nothing but what Node and browsers have. Each function
// resolves to a line about what happened.

// Cuts the bytes of binary messages into messages: length (4 bytes, big endian)
// and body.
class Reader {
  bytes = new Uint8Array(0);

  add(buffer) {
    const joined = new Uint8Array(this.bytes.length + buffer.byteLength);
    joined.set(this.bytes);
    joined.set(new Uint8Array(buffer), this.bytes.length);
    this.bytes = joined;
    const bodies = [];
    for (;;) {
      if (this.bytes.length < 4) return bodies;
      const size = new DataView(this.bytes.buffer, this.bytes.byteOffset).getUint32(0);
      if (this.bytes.length < 4 + size) return bodies;
      bodies.push(this.bytes.slice(4, 4 + size));
      this.bytes = this.bytes.subarray(4 + size);
    }
  }
}

function message(body) {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

function open(url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  return socket;
}

const ended = (event) => `code ${event.code} ${event.wasClean ? 'clean' : 'unclean'}`;

function filled(size) {
  const body = new Uint8Array(size);
  for (let i = 0; i < size; i++) body[i] = 2 + (i * 7 + size) % 250;
  return body;
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

// Sends messages of all sizes, first one by one and then all at once, and
// expects each back.
function echo(url) {
  const sizes = [0, 1, 2, 100, 121, 122, 125, 126, 65531, 65532, 70000, 1000000];
  const wanted = [];
  return new Promise((resolve) => {
    const socket = open(url), reader = new Reader();
    let answered = 0, result = '';
    const send = (size) => {
      wanted.push(filled(size));
      socket.send(message(filled(size)));
    };
    socket.onopen = () => send(sizes[0]);
    socket.onmessage = (event) => {
      for (const body of reader.add(event.data)) {
        if (!same(body, wanted[answered])) result = `message ${answered} differs`;
        answered++;
        if (answered < sizes.length) send(sizes[answered]);
        else if (answered === sizes.length) sizes.forEach(send);
      }
      if (result || answered === 2 * sizes.length) socket.close(4001, 'done');
    };
    socket.onerror = () => answered > 0 || resolve('never open');
    socket.onclose = (event) => resolve(result || `echoed ${answered} ${ended(event)}`);
  });
}

// Waits for the end, sending first what is given.
function wait(url, first) {
  return new Promise((resolve) => {
    const socket = open(url);
    let opened = 'never open';
    socket.onopen = () => {
      opened = 'open';
      if (first !== undefined) socket.send(first);
    };
    socket.onerror = () => opened === 'open' || resolve(opened);
    socket.onclose = (event) => resolve(`${opened} ${ended(event)}`);
  });
}

const text = (url) => wait(url, 'some text');
const bye = (url) => wait(url, message(new TextEncoder().encode('bye')));
// Only the start: Chromium calls no end clean while its page has bytes left to send.
const tooLong = (url) => wait(url, message(new Uint8Array(3000000)).subarray(0, 1000));

if (typeof process === 'object') {
  const calls = { echo, wait, text, bye, tooLong };
  calls[process.argv[2]](process.argv[3]).then(console.log);
}
