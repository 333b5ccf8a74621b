// SPDX-License-Identifier: MPL-2.0
// The binding for Node.js on the real library: test_node.js [CASE...]
'use strict';
const assert = require('assert');
const fs = require('fs');
const net = require('net');
const path = require('path');
const { Worker } = require('worker_threads');
const { Context, Batch, ZlinkError, Option, ContextOption, Event, Reason, libraryVersion, sendAny, setLog } = require('zlink-stream');
const { TEXT, WIDE, COUNTERS } = require('zlink-stream/lib/constants.js');

const AGAIN = 11, UNREACHABLE = 113;

async function expect(socket, event, body) {
  const message = await socket.receive();
  assert.strictEqual(message.event, event);
  if (body !== undefined)
    assert.ok(message.body.equals(Buffer.from(body)), message.body.toString().slice(0, 100));
  return message;
}

function fails(code, call) {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof ZlinkError, error);
    assert.strictEqual(error.code, code, error.message);
    return error;
  }
  assert.fail(`${call} did not fail`);
}

async function rejects(code, promise) {
  const error = await promise.then(() => assert.fail(`${code} was expected`), (reason) => reason);
  assert.strictEqual(error.code, code, error.stack);
  return error;
}

// A server and its client, and what each calls the other.
async function withPair(transport, options, use) {
  const context = new Context(), files = {}, trust = {};
  if (transport === 'tls' || transport === 'wss') {
    if (!process.env.TLS_CERT)
      return 'there is no certificate';
    Object.assign(files, { tls_cert: process.env.TLS_CERT, tls_key: process.env.TLS_KEY });
    trust.tls_ca = process.env.TLS_CERT;
  }
  const server = context.socket({ linger: 1000, ...files, ...options });
  const client = context.socket({ linger: 1000, ...trust, ...options });
  client.connect(server.bind(`${transport}://127.0.0.1:*`));
  const toServer = (await expect(client, Event.CONNECTED)).peer;
  const toClient = (await expect(server, Event.CONNECTED)).peer;
  await use({ context, server, client, toServer, toClient });
  server.close();
  client.close();
  await context.close();
}

const exchange = (transport) => withPair(transport, {}, async (p) => {
  const bodies = ['hello', '', 'x'.repeat(100000)];
  for (const body of bodies)
    await p.client.send(p.toServer, body);
  const batch = new Batch(8);
  for (let count = 0; count < 3;) {
    const got = await p.server.receiveBatch(batch);
    assert.strictEqual(batch.peer(got - 1), p.toClient);
    assert.deepStrictEqual(p.server.sendBatch(batch), []); // as they came
    count += got;
  }
  for (const body of bodies)
    await expect(p.client, Event.DATA, body);
  assert.strictEqual(p.server.peerProperty(p.toClient, 'Transport'), transport);
  assert.strictEqual(p.server.peerProperty(p.toClient, 'no such'), null);
  assert.strictEqual(p.server.closePeer(p.toClient), true);
  assert.strictEqual((await expect(p.client, Event.DISCONNECTED)).reason, Reason.PEER_CLOSED);
  const ended = await expect(p.server, Event.DISCONNECTED);
  assert.strictEqual(ended.reason, Reason.CLOSED_HERE);
  assert.strictEqual(ended.property('Peer-Address'), '127.0.0.1');
  assert.strictEqual(ended.property('no such'), null);
  assert.strictEqual(p.server.closePeer(p.toClient), false);
  assert.strictEqual(p.server.closePeer(p.toClient, 1000, 'late'), false);
  assert.strictEqual(p.server.abortPeer(p.toClient), false);
  assert.throws(() => p.server.abortPeer(0), { code: 'EINVAL' });
  const stats = p.server.stats();
  assert.strictEqual(stats.msgs_in, 3);
  assert.strictEqual(stats.ended_by[Reason.CLOSED_HERE], 1);
});

const cases = {
  tcp: () => exchange('tcp'),
  ws: () => exchange('ws'),
  tls: () => exchange('tls'),
  wss: () => exchange('wss'),

  text: () => withPair('ws', { framing: 1 }, async (p) => {
    await p.client.send(p.toServer, 'häh', { text: true });
    await p.client.send(p.toServer, Uint8Array.of(255));
    assert.strictEqual((await expect(p.server, Event.DATA, 'häh')).isText, true);
    assert.strictEqual((await expect(p.server, Event.DATA, [255])).isText, false);
    p.server.closePeer(p.toClient, 4000, 'enough');
    const ended = await expect(p.client, Event.DISCONNECTED);
    assert.strictEqual(ended.closeCode, 4000);
    assert.strictEqual(ended.property('Close-Reason'), 'enough');
  }),

  headers: async () => {
    for (const transport of ['tcp', 'ws']) {
      await withPair(transport, { framing: 3 }, async (p) => {
        const sent = [['h', 'body'], [undefined, 'no header'], ['\0only a header', ''], ['x'.repeat(65535), 'y'.repeat(100000)]];
        for (const [header, body] of sent)
          await p.client.send(p.toServer, body, { header });
        const batch = new Batch(8);
        for (let count = 0; count < sent.length;) {
          count += await p.server.receiveBatch(batch);
          assert.deepStrictEqual(p.server.sendBatch(batch), []); // as they came
        }
        for (const [header, body] of sent)
          assert.ok((await expect(p.client, Event.DATA, body)).header.equals(Buffer.from(header ?? '')));
        p.server.join(p.toClient, 'room');
        assert.strictEqual(p.server.publish('room', 'published', { header: Uint8Array.of(0, 255) }), 1);
        assert.strictEqual(p.server.publish('room', 'keyed', { header: 'k', key: 1 }), 1);
        assert.strictEqual(p.server.multicast([p.toClient], 'listed', { header: 'm' }).taken, 1);
        for (const [header, body] of [[[0, 255], 'published'], ['k', 'keyed'], ['m', 'listed']])
          assert.ok((await expect(p.client, Event.DATA, body)).header.equals(Buffer.from(header)));
        fails('EMSGSIZE', () => p.server.trySend(p.toClient, '', { header: 'x'.repeat(65536) }));
        assert.throws(() => p.server.trySend(p.toClient, '', { header: 7 }), /a header is a string, a Buffer or a Uint8Array/);
      });
    }
    await withPair('tcp', {}, async (p) => {
      assert.ok(fails('EINVAL', () => p.server.trySend(p.toClient, 'body', { header: 'h' })).detail);
      p.server.trySend(p.toClient, 'none');
      assert.strictEqual((await expect(p.client, Event.DATA, 'none')).header.length, 0);
    });
  },

  errors: () => withPair('tcp', {}, async (p) => {
    const error = fails('EINVAL', () => p.server.bind('5555'));
    assert.strictEqual(error.detail, 'endpoint "5555" has no "://"');
    assert.strictEqual(error.message, 'Invalid argument: endpoint "5555" has no "://"');
    assert.strictEqual(error.errno, 22);
    fails('EADDRINUSE', () => p.client.bind(p.server.lastEndpoint));
    assert.ok(fails('EHOSTUNREACH', () => p.server.trySend(123456789, 'hello')).detail);
    await rejects('EHOSTUNREACH', p.server.send(123456789, 'hello'));
    fails('EINVAL', () => p.server.trySend(0, 'hello'));
    fails('EINVAL', () => p.server.set(Option.FRAMING, 77));
    fails('EINVAL', () => p.server.set(Option.SNDHWM, 2 ** 40));
    fails('EINVAL', () => p.server.join(p.toClient, ''));
    assert.strictEqual(fails('EINVAL', () => p.context.socket({ colour: 1 })).detail, 'there is no option colour');
    assert.throws(() => p.server.trySend(p.toClient, 7), /a body is a string, a Buffer or a Uint8Array/);
    assert.throws(() => p.server.set(Option.WS_PATHS, 7), TypeError);
    assert.throws(() => new Batch(0), RangeError);
    fails('EINVAL', () => new Batch(1).peer(0));
    assert.deepStrictEqual(p.server.tryReceiveMany(), []);
    const waiting = p.server.receive();
    assert.strictEqual((await rejects('EBUSY', p.server.receive())).detail, 'somebody receives from this socket already');
    await p.client.send(p.toServer, 'one');
    assert.strictEqual((await waiting).body.toString(), 'one');
  }),

  // What was not taken stays in its batch, and the others are sent.
  refused: () => withPair('tcp', {}, async (p) => {
    const other = p.context.socket({ linger: 0 });
    other.connect(p.server.lastEndpoint);
    const toOther = (await expect(p.server, Event.CONNECTED)).peer;
    const there = (await expect(other, Event.CONNECTED)).peer;
    await other.send(there, 'kept');
    await p.client.send(p.toServer, 'taken');
    await new Promise((resolve) => {
      const look = () => p.server.stats().msgs_in === 2 ? resolve() : setTimeout(look, 1);
      look();
    });
    const batch = new Batch(8);
    assert.strictEqual(await p.server.receiveBatch(batch), 2);
    p.server.abortPeer(toOther);
    const [refused, ...none] = p.server.sendBatch(batch);
    assert.strictEqual(refused.errno, UNREACHABLE);
    assert.strictEqual(batch.peer(refused.index), toOther);
    assert.strictEqual(none.length, 0);
    await expect(p.client, Event.DATA, 'taken');
    other.close();
  }),

  // What C would cut to its bits, or at a NUL, never gets there.
  arguments: () => withPair('tcp', {}, async (p) => {
    const bad = (kind, call) => assert.throws(call, kind);
    for (const peer of [p.toServer + 2 ** 32, p.toServer + 0.5, -1, '1', undefined]) {
      bad(RangeError, () => p.client.trySend(peer, 'x'));
      bad(RangeError, () => p.client.join(peer, 'room'));
      bad(RangeError, () => p.client.abortPeer(peer));
      bad(RangeError, () => p.client.multicast([p.toServer, peer], 'x'));
      bad(RangeError, () => p.client.publish('room', 'x', { except: peer ?? 'x' }));
    }
    for (const key of [-1, 2n ** 64n])
      bad(RangeError, () => p.client.trySend(p.toServer, 'x', { key }));
    for (const group of ['room\0x', 7, undefined])
      bad(TypeError, () => p.client.join(p.toServer, group));
    bad(TypeError, () => p.client.bind('tcp://127.0.0.1:*\0'));
    bad(TypeError, () => p.client.set(Option.TLS_CERT, '/a\0b'));
    for (const value of [2 ** 53, -(2 ** 64), 1e300])
      bad(ZlinkError, () => p.client.set(Option.RECV_BYTES_TOTAL, value));
    for (const time of ['soon', undefined, 2 ** 40])
      bad(RangeError, () => p.client.drain(time));
    for (const batch of ['x', {}, 5, p.client, undefined]) {
      bad(TypeError, () => p.client.sendBatch(batch));
      await assert.rejects(p.client.receiveBatch(batch), TypeError);
    }
    await p.client.send(p.toServer, 'as before');
    await expect(p.server, Event.DATA, 'as before');
  }),

  closed_once: async () => {
    const context = new Context(), socket = context.socket();
    const endpoint = socket.bind('tcp://127.0.0.1:*');
    const waiting = socket.receive(), looping = (async () => {
      for await (const message of context.socket())
        assert.fail(message);
    })();
    setImmediate(() => socket.close());
    assert.ok((await rejects('ENOTSOCK', waiting)).detail);
    socket.close(); // once
    assert.ok(socket.closed);
    for (const call of [() => socket.trySend(1, 'x'), () => socket.bind(endpoint), () => socket.stats(),
      () => socket.publish('group', 'x'), () => socket.tryReceiveMany(), () => socket.get(Option.LINGER)])
      assert.ok(fails('ENOTSOCK', call).detail);
    for await (const message of socket)
      assert.fail(message); // a loop over a closed socket ends
    const again = context.socket();
    again.bind(endpoint); // it has given its port back
    const ended = context.close();
    assert.strictEqual(context.close(), ended);
    await looping; // the context's end ends it
    fails('ETERM', () => again.trySend(1, 'x'));
    again.close();
    fails('ETERM', () => context.socket());
  },

  // What is forgotten is closed, and bodies outlive their socket.
  context_is_held: async () => {
    let context = new Context({ ioThreads: 1 });
    assert.strictEqual(context.get(ContextOption.IO_THREADS), 1);
    fails('EINVAL', () => context.set(ContextOption.IO_THREADS, -7));
    assert.strictEqual(context.get(ContextOption.THREAD_NAME_PREFIX), -1); // nobody has set it
    const one = context.socket({ linger: 0 }), two = context.socket({ linger: 0 });
    let ended = false;
    const end = context.close().then(() => { ended = true; });
    one.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(!ended); // its last socket is open
    two.close();
    await end;
    fails('EFAULT', () => context.socket());

    const forgotten = (() => new Context().socket({ linger: 0 }))();
    for (let i = 0; i < 5; i++) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    forgotten.bind('tcp://127.0.0.1:*'); // its context is there
    forgotten.close();

    context = new Context();
    const server = context.socket({ linger: 0 });
    const endpoint = server.bind('tcp://127.0.0.1:*');
    let client = context.socket({ linger: 1000 });
    client.connect(endpoint);
    client.trySend((await client.receive()).peer, 'y'.repeat(100000));
    client = undefined;
    await expect(server, Event.CONNECTED);
    const { body } = await expect(server, Event.DATA);
    for (let gone = []; gone.length === 0; gone = server.tryReceiveMany()) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    server.close();
    await context.close();
    global.gc();
    assert.ok(body.equals(Buffer.from('y'.repeat(100000))));
  },

  typed_options: async () => {
    const context = new Context(), socket = context.socket({ ws_paths: '/a, /b', maxmsgsize: 2 ** 40 });
    for (const [name, option] of Object.entries(Option))
      if (name !== 'CONNECT_ROUTING_ID')
        assert.strictEqual(typeof socket.get(option), TEXT.has(option) ? 'string' : 'number', name);
    assert.strictEqual(socket.get(Option.WS_PATHS), '/a, /b');
    assert.strictEqual(socket.get(Option.MAXMSGSIZE), 2 ** 40);
    assert.strictEqual(socket.get(Option.LINGER), -1);
    for (const option of [...WIDE].filter((each) => each !== Option.AFFINITY)) {
      socket.set(option, 2 ** 33);
      assert.strictEqual(socket.get(option), 2 ** 33);
    }
    const header = fs.readFileSync(path.join(__dirname, '../../../include/zlink.h'), 'utf8');
    const struct = header.match(/typedef struct zlink_stream_stats_t\n\{([^}]*)\}/)[1].replace(/\/\*[^]*?\*\//g, '');
    assert.deepStrictEqual([...struct.matchAll(/uint64_t (\w+)/g)].map((m) => m[1]).slice(0, COUNTERS.length), COUNTERS);
    assert.strictEqual(libraryVersion(), require('zlink-stream/package.json').version);
    socket.close();
    await context.close();
  },

  groups: () => withPair('tcp', {}, async (p) => {
    const other = p.context.socket({ linger: 0 });
    other.connect(p.server.lastEndpoint);
    const toOther = (await expect(p.server, Event.CONNECTED)).peer;
    await expect(other, Event.CONNECTED);
    p.server.join(p.toClient, 'room');
    p.server.join(toOther, 'room');
    assert.strictEqual(p.server.publish('room', 'all'), 2);
    assert.strictEqual(p.server.publish('room', 'but one', { except: toOther }), 1);
    p.server.leave(toOther, 'room');
    assert.strictEqual(p.server.publish('room', Buffer.from('state'), { key: 7 }), 1);
    assert.strictEqual(p.server.publish("nobody's", '?'), 0);
    const { taken, errors } = p.server.multicast([toOther, 99999], 'list');
    assert.strictEqual(taken, 1);
    assert.deepStrictEqual([...errors], [[99999, UNREACHABLE]]);
    p.server.trySend(toOther, 'keyed', { key: 2n ** 63n });
    sendAny(p.toClient, 'by its id');
    assert.throws(() => sendAny((p.toClient ^ 1 << 31) >>> 0, 'nobody'), { errno: UNREACHABLE });
    for (const body of ['all', 'but one', 'state', 'by its id'])
      await expect(p.client, Event.DATA, body);
    for (const body of ['all', 'list', 'keyed'])
      await expect(other, Event.DATA, body);
    other.close();
  }),

  asking_and_draining: async () => {
    const context = new Context();
    const server = context.socket({ accept_timeout: 30000 });
    const client = context.socket({ reconnect_ivl: -1 }), other = context.socket({ reconnect_ivl: -1 });
    const endpoint = server.bind('ws://127.0.0.1:*');
    client.connect(endpoint);
    const asks = (await expect(server, Event.ASKING)).peer;
    server.acceptPeer(asks);
    fails('EFSM', () => server.refusePeer(asks));
    assert.strictEqual((await expect(server, Event.CONNECTED)).peer, asks);
    other.connect(endpoint);
    server.refusePeer((await expect(server, Event.ASKING)).peer, 401, 'who are you?');
    assert.strictEqual((await expect(server, Event.DISCONNECTED)).reason, Reason.REFUSED);
    await expect(client, Event.CONNECTED);
    server.drain(0, 1012);
    assert.strictEqual((await expect(client, Event.DISCONNECTED)).closeCode, 1012);
    assert.strictEqual((await expect(server, Event.DISCONNECTED)).reason, Reason.DRAINED);
    assert.strictEqual((await expect(server, Event.DRAINED)).peer, 0);
    for (const socket of [server, client, other])
      socket.close();
    await context.close();
  },

  // The application chooses one of those that a request offers.
  subprotocol: async () => {
    const request = ['GET /chat HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: chat.v2, chat.v1', '', ''].join('\r\n');
    const context = new Context(), server = context.socket({ accept_timeout: 30000, linger: 0 });
    const port = Number(server.bind('ws://127.0.0.1:*/chat').match(/:(\d+)\//)[1]);
    for (const [protocol, answers] of [['chat.v1', true], ['', false], [undefined, false]]) {
      const client = net.connect(port, '127.0.0.1');
      client.write(request);
      const asks = (await expect(server, Event.ASKING)).peer;
      assert.match(fails('EINVAL', () => server.acceptPeer(asks, 'other')).detail, /does not offer/);
      assert.throws(() => server.acceptPeer(asks, 7), TypeError);
      server.acceptPeer(asks, protocol);
      await expect(server, Event.CONNECTED);
      let answer = '';
      for await (const chunk of client) {
        answer += chunk;
        if (answer.endsWith('\r\n\r\n'))
          break; // which ends the connection
      }
      assert.strictEqual(/\r\nSec-WebSocket-Protocol: chat\.v1\r\n/.test(answer), answers);
      assert.strictEqual(answer.includes('Sec-WebSocket-Protocol'), answers);
      await expect(server, Event.DISCONNECTED);
    }
    server.close();
    await context.close();
  },

  // A send to a peer whose queue is full waits, and the loop goes on.
  waits: () => withPair('tcp', { send_bytes: 65536, rcvhwm: 1, sndbuf: 4096, rcvbuf: 4096, recv_bytes: 65536 }, async (p) => {
    const body = 'z'.repeat(50000);
    let sent = 0, before = -1;
    const flooding = (async () => {
      for (; sent < 100; sent++)
        await p.server.send(p.toClient, body);
    })();
    while (sent === 0 || sent !== before) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(sent < 100);
    assert.strictEqual(fails('EAGAIN', () => p.server.trySend(p.toClient, body)).errno, AGAIN);
    let got = 0;
    for await (const message of p.client)
      if (message.body.length === 50000 && ++got === 100)
        break;
    await flooding;
  }),

  // Workers have contexts of their own; each gets what its own peers send, in order.
  threads: async () => {
    const work = `
      const { parentPort } = require('worker_threads');
      const { Context, Event } = require(${JSON.stringify(require.resolve('zlink-stream'))});
      (async () => {
        const context = new Context(), server = context.socket({ linger: 0 }), client = context.socket({ linger: 1000 });
        client.connect(server.bind('tcp://127.0.0.1:*'));
        const peer = (await client.receive()).peer;
        for (let i = 0; i < 1000; i++)
          await client.send(peer, String(i));
        let next = 0;
        for await (const message of server)
          if (message.event === Event.DATA && (Number(message.body.toString()) !== next++ || next === 1000))
            break;
        server.close();
        client.close();
        await context.close();
        parentPort.postMessage(next);
      })();`;
    const workers = [1, 2, 3].map(() => new Promise((resolve, reject) => {
      new Worker(work, { eval: true }).on('message', resolve).on('error', reject);
    }));
    assert.deepStrictEqual(await Promise.all(workers), [1000, 1000, 1000]);
  },

  // What happens at all sockets, on the loop of who asked last.
  log: async () => {
    const lines = [];
    let wake = () => {};
    const told = async (start) => {
      while (!lines.some((line) => line.startsWith(start)))
        await new Promise((resolve) => { wake = resolve; });
    };
    const record = (level, line) => {
      lines.push(`${level} ${line}`);
      wake();
    };
    assert.throws(() => setLog('loud', record), TypeError);
    assert.throws(() => setLog('info'), TypeError);
    setLog('info', record);
    await withPair('tcp', {}, async (p) => {
      await told('info listening local=tcp://127.0.0.1:');
      await told('info connected local=tcp://127.0.0.1:');
      const other = p.context.socket();
      fails('EADDRINUSE', () => other.bind(p.server.lastEndpoint));
      other.close();
      await told('error binding failed local=tcp://127.0.0.1:');
      setLog('info', (level, line) => { // also from inside
        setLog('info', record);
        record(level, line);
      });
      global.gc();
      p.server.abortPeer(p.toClient);
      await told('info disconnected local=tcp://127.0.0.1:');
    });
    // A loop that does not turn gets no more than it has room for, and learns how many lines that were not.
    const context = new Context(), server = context.socket(), other = context.socket();
    const endpoint = server.bind('tcp://127.0.0.1:*');
    let count = 0, all = 0;
    const over = new Promise((resolve) => setLog('error', (level, line) => {
      all += Number(/lines=(\d+)/.exec(line)?.[1] ?? 1);
      if (all === count)
        resolve();
    }));
    const fail = () => {
      count++;
      fails('EADDRINUSE', () => other.bind(endpoint));
    };
    while (count < 500)
      fail();
    const more = setInterval(fail, 200); // what was left out comes with the next line
    await over;
    clearInterval(more);
    // Of a worker that ends nothing is left; another one takes over.
    const work = `
      const { Context, setLog } = require(${JSON.stringify(require.resolve('zlink-stream'))});
      const { parentPort } = require('worker_threads');
      setLog('info', (level, line) => parentPort.postMessage(line));
      new Context().socket().bind('tcp://127.0.0.1:*');
      setTimeout(() => {}, 60000);`;
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(work, { eval: true });
      await new Promise((resolve, reject) => { // a connection of before may be told of first
        worker.on('message', (line) => line.startsWith('listening local=') && resolve()).on('error', reject);
      });
      await worker.terminate();
    }
    setLog(null);
    const silent = lines.length;
    await withPair('tcp', {}, async () => {});
    assert.strictEqual(lines.length, silent);
    server.close();
    other.close();
    await context.close();
    setLog('debug', () => {}); // to the end
  },

  // A worker may end while a socket of its waits, or is open.
  ended_workers: async () => {
    for (const [end, waits] of [['terminate', true], ['exit', true], ['exit', false]]) {
      const work = `
        const { parentPort } = require('worker_threads');
        const { Context } = require(${JSON.stringify(require.resolve('zlink-stream'))});
        const context = new Context(), socket = context.socket();
        socket.bind('tcp://127.0.0.1:*');
        if (${waits})
          socket.receive();
        parentPort.postMessage('there');
        if ('${end}' === 'exit')
          setImmediate(() => process.exit(7));`;
      const worker = new Worker(work, { eval: true });
      const code = new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
      await new Promise((resolve) => worker.once('message', resolve));
      if (end === 'terminate')
        await worker.terminate();
      assert.strictEqual(await code, end === 'exit' ? 7 : 1);
    }
  },
};

(async () => {
  const wanted = process.argv.slice(2);
  for (const [name, run] of Object.entries(cases)) {
    if (wanted.length > 0 && !wanted.includes(name))
      continue;
    const start = performance.now();
    const hangs = setTimeout(() => { // ends what hangs
      console.error(`${name}: not done after 60 s`);
      process.exit(1);
    }, 60000);
    const why = await run();
    clearTimeout(hangs);
    console.log(why ? `skipped ${name}: ${why}` : `ok ${name} (${Math.round(performance.now() - start)} ms)`);
  }
  console.log('done');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
