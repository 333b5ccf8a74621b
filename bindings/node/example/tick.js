#!/usr/bin/env node
// SPDX-License-Identifier: MPL-2.0
// A game at 30 Hz: tick.js [ENDPOINT]. Players send how far they move, one byte for each of two directions. Every tick all
// get the places of all. A player who reads slowly gets the newest state, however many ticks it has missed.
'use strict';
const { Context, Event } = require('zlink-stream');

const players = 1024, world = 1; // the key of the state
const state = new ArrayBuffer(8 + players * 4);
const head = new Uint32Array(state, 0, 2); // tick, present
const places = new Int16Array(state, 8);

function play(server, { peer, event, body, isData }) {
  const place = peer % players * 2;
  if (event === Event.CONNECTED) {
    head[1]++;
    places[place] = places[place + 1] = 0;
    try {
      server.join(peer, 'players');
    } catch { /* it has gone */ }
  } else if (event === Event.DISCONNECTED)
    head[1]--;
  else if (isData && body.length === 2) {
    places[place] += body.readInt8(0);
    places[place + 1] += body.readInt8(1);
  }
}

async function main(endpoint = 'tcp://127.0.0.1:5555') {
  const server = new Context().socket({ sndbuf: 32 << 10 }); // what the kernel has cannot be replaced
  console.log(server.bind(endpoint));
  const start = performance.now();
  let ticks = 0;
  setTimeout(function tick() {
    head[0] = ++ticks;
    try {
      server.publish('players', new Uint8Array(state), { key: world });
    } catch (error) {
      if (error.code !== 'EAGAIN') // else the next one has the newer state
        throw error;
    }
    setTimeout(tick, start + (ticks + 1) * 1000 / 30 - performance.now());
  }, 1000 / 30);
  for await (const message of server)
    play(server, message);
}

main(process.argv[2]);
