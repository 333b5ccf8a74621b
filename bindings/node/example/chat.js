#!/usr/bin/env node
// SPDX-License-Identifier: MPL-2.0
// Chat rooms: chat.js [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave it, and "ROOM text" to say
// something to the others in it.
'use strict';
const { Context, Event, ZlinkError } = require('zlink-stream');

const longest = 1000, mostRooms = 1000;
const entered = new Map(); // how often a peer has entered a room

function serve(server, { peer, body }) {
  const text = body.toString(), times = entered.get(peer) ?? 0;
  if (text.startsWith('+')) {
    if (times < mostRooms) {
      server.join(peer, text.slice(1));
      entered.set(peer, times + 1);
    }
  } else if (text.startsWith('-'))
    server.leave(peer, text.slice(1));
  else
    server.publish(text.split(' ')[0], body, { except: peer });
}

async function main(endpoint = 'tcp://127.0.0.1:5555') {
  const server = new Context().socket({ maxmsgsize: longest });
  console.log(server.bind(endpoint));
  for await (const message of server) {
    if (message.event === Event.DISCONNECTED)
      entered.delete(message.peer); // it has left all rooms
    if (!message.isData)
      continue;
    try {
      serve(server, message);
    } catch (error) {
      if (!(error instanceof ZlinkError))
        throw error; // else it has gone, or such a room cannot be
    }
  }
}

main(process.argv[2]);
