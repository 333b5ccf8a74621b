// SPDX-License-Identifier: MPL-2.0
// A back end with rooms, which are groups of the gateways. It keeps nothing about a client, so
// any number of it share the work. A client sends a line:
//   join ROOM          leave ROOM          say ROOM TEXT
'use strict';
const { connect, headers, StringCodec } = require('nats');

const usage = '? join ROOM | leave ROOM | say ROOM TEXT';
const codec = StringCodec();

function text(nats, subject, words) {
  const asText = headers();
  asText.set('Zl-Text', '1');
  nats.publish(subject, codec.encode(words), { headers: asText });
}

// Has a client join or leave, and returns what to tell it.
async function member(nats, server, id, verb, room) {
  const request = JSON.stringify({ op: verb, id: Number(id), group: `room.${room}` });
  try {
    const answer = JSON.parse(codec.decode((await nats.request(`zl.ctl.${server}`, codec.encode(request), { timeout: 2000 })).data));
    return answer.status === 200 ? `${verb} ${room}` : `? ${answer.error}`;
  } catch (error) {
    return `? ${error.message}`;
  }
}

async function handle(nats, message) {
  const [, , , server, id] = message.subject.split('.');
  const [, verb, room, words] = /^(join|leave|say) ([a-z0-9_-]{1,32})(?: (.+))?$/s.exec(codec.decode(message.data)) ?? [];
  if (verb === 'say' && words) text(nats, `zl.group.room.${room}`, `${room} ${server}.${id}: ${words}`);
  else if (verb === 'join' || verb === 'leave') text(nats, message.reply, await member(nats, server, id, verb, room));
  else text(nats, message.reply, usage);
}

async function main() {
  const nats = await connect({
    servers: process.env.NATS_URL || 'nats://127.0.0.1:4222', name: 'chat', maxReconnectAttempts: -1,
  });
  const service = process.env.SERVICE || 'app';
  nats.subscribe(`zl.in.${service}.*.*`, {
    queue: 'chat',
    callback: (error, message) => {
      if (error) console.error(error.message);
      else handle(nats, message).catch((e) => console.error(e.message));
    },
  });
  await nats.flush();
  console.log('ready');
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => nats.drain());
  await nats.closed();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
