// SPDX-License-Identifier: MPL-2.0
// A back end: it answers each message of a client with the same bytes. Start as many as you
// like; they share the messages.
'use strict';
const { connect, headers } = require('nats');

async function main() {
  const nats = await connect({
    servers: process.env.NATS_URL || 'nats://127.0.0.1:4222', name: 'echo', maxReconnectAttempts: -1,
  });
  const service = process.env.SERVICE || 'app';
  const callback = (error, message) => {
    if (error) return console.error(error.message);
    const options = {};
    if (message.headers?.has('Zl-Text')) { // it came as text, and goes as text
      options.headers = headers();
      options.headers.set('Zl-Text', '1');
    }
    message.respond(message.data, options); // the reply subject is the client
  };
  nats.subscribe(`zl.in.${service}.>`, { queue: 'echo', callback });
  nats.subscribe(`zl.bundle.in.${service}.>`, { queue: 'echo', callback }); // an answer to a bundle has the same form
  await nats.flush();
  console.log('ready');
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => nats.drain());
  await nats.closed();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
