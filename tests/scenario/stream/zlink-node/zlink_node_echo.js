// SPDX-License-Identifier: MPL-2.0
// An echo server in JavaScript on the binding, with batches: messages go back as they came.
'use strict';
const { Context, Batch } = require('zlink-stream');

function setting(name, value) {
  return Number(process.env[name] ?? value);
}

function listen(context) {
  const transport = process.env.TRANSPORT ?? 'tcp';
  const socket = context.socket({
    backlog: setting('BACKLOG', 32768),
    sndhwm: setting('HWM', 1000000),
    rcvhwm: setting('HWM', 1000000),
    sndbuf: setting('SNDBUF', 262144),
    rcvbuf: setting('RCVBUF', 262144),
    tls_cert: process.env.TLS_CERT ?? '',
    tls_key: process.env.TLS_KEY ?? '',
    linger: 0,
  });
  if (transport === 'ipc')
    console.log('LISTENING', socket.bind(`ipc://@zlink-node-echo-${process.pid}`).slice('ipc://'.length));
  else
    console.log('LISTENING', new URL(socket.bind(`${transport}://*:0`).replace(/^\w+/, 'http')).port);
  return socket;
}

async function main() {
  const context = new Context({ ioThreads: setting('IO_THREADS', 2) });
  const socket = listen(context);
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.once(signal, () => context.shutdown());
  const batch = new Batch(1024);
  try {
    for (;;) {
      await socket.receiveBatch(batch);
      let left = socket.sendBatch(batch);
      while (left.some(({ errno }) => errno === 11)) { // their queues are full: others wait as well
        await new Promise((resolve) => setTimeout(resolve, 1));
        left = socket.sendBatch(batch);
      }
      await new Promise(setImmediate); // for signals
    }
  } catch (error) {
    if (error.code !== 'ETERM')
      throw error;
  }
  socket.close();
  await context.close();
  process.exit(0); // the handlers of signals would keep it
}

main();
