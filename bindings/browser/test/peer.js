// SPDX-License-Identifier: MPL-2.0
// What test_browser.c has Node.js and Chromium do: each function resolves to a line about what happened.
'use strict';

if (typeof process === 'object')
  globalThis.zlink = require('../zlink.js');

function filled(size) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++)
    bytes[i] = i * 7 + size;
  return bytes;
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

// Sends messages of all sizes, and expects each back with its header; then the server closes.
async function exchange(url, framing) {
  const client = new zlink.Client(url, { framing });
  await client.opened;
  const sizes = [0, 1, 119, 120, 125, 126, 65529, 65530, 65535, 65536, 1000000], headed = framing === zlink.Framing.HEADERS;
  const header = (size) => (headed ? filled(size % 65536) : new Uint8Array(0));
  for (const size of sizes)
    client.send(filled(size), { header: header(size) });
  client.send('häh', { header: headed ? 'hé' : new Uint8Array(0) });
  let echoed = 0;
  for await (const message of client) {
    if (echoed < sizes.length) {
      const size = sizes[echoed];
      if (!same(message.body, filled(size)) || !same(message.header, header(size)) || message.isText)
        return `message ${echoed} differs: ${message.body.length} and ${message.header.length} bytes`;
    } else if (message.text !== 'häh' || message.isText !== (framing === zlink.Framing.MESSAGES))
      return `the text differs: ${message.text}`;
    if (++echoed > sizes.length)
      client.send('bye');
  }
  const { code, wasClean, error } = await client.closed;
  const late = await client.receive();
  return `echoed ${echoed}, code ${code}, clean ${wasClean}, ${error}, ${late}`;
}

// A message that is too long ends the connection, behind those in front of it.
async function tooLong(url, framing) {
  const client = new zlink.Client(url, { framing, maxSize: 1000 });
  await client.opened;
  client.send(new Uint8Array(1000));
  client.send(new Uint8Array(1001));
  const first = await client.receive();
  const error = await client.receive().then(String, (reason) => reason.message);
  const { code } = await client.closed;
  return `${first.body.length} bytes, then: ${error}, code ${code}, ${client.tryReceiveMany().length} left`;
}

// What the caller gets wrong.
async function wrong(url, framing) {
  const client = new zlink.Client(url, { framing }), said = [];
  const tell = (call) => {
    try {
      call();
      said.push('nothing');
    } catch (error) {
      said.push(error.message);
    }
  };
  tell(() => client.send('too early'));
  await client.opened;
  tell(() => client.send(7));
  tell(() => client.send('', { header: new Uint8Array(65536) }));
  tell(() => new zlink.Client(url, { framing: 2 }));
  client.close(4001, 'enough');
  const { code } = await client.closed;
  return [...said, code].join('; ');
}

async function refused(url, framing) {
  const client = new zlink.Client(url, { framing });
  const why = await client.opened.then(() => 'open', (error) => error.message.replace(url, 'there'));
  return `${why}; ${(await client.closed).code}; ${await client.receive()}`;
}

// A stream in pieces of every size is cut into the same messages.
async function pieces() {
  const stream = Uint8Array.of(0, 0, 0, 0, 0, 2, 104, 105, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 0, 1, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0);
  const wanted = '[] [104,105]; [1,2,3] [4,5]; [9] []; [] []';
  for (let size = 1; size <= stream.length; size++) {
    const reader = new zlink.Reader(zlink.Framing.HEADERS, 100), got = [];
    for (let at = 0; at < stream.length; at += size)
      reader.add(stream.subarray(at, at + size), (message) => got.push(`[${message.header}] [${message.body}]`));
    if (got.join('; ') !== wanted)
      return `pieces of ${size}: ${got.join('; ')}`;
  }
  return `cut ${stream.length} ways`;
}

// All of it, in one line.
async function everything(ws, wss, framing) {
  const calls = [exchange(ws, framing), exchange(wss, framing), tooLong(ws, framing), wrong(ws, framing),
    refused(ws.slice(0, ws.lastIndexOf('/')), framing), pieces()];
  return (await Promise.all(calls)).join(' | ');
}

if (typeof process === 'object')
  (async () => {
    for (let i = 2; i < process.argv.length; i += 3)
      console.log(await everything(process.argv[i], process.argv[i + 1], Number(process.argv[i + 2])));
  })();
