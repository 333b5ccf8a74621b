#!/usr/bin/env node
// SPDX-License-Identifier: MPL-2.0
// A server that sends every message back: echo.js [ENDPOINT]
'use strict';
const { Context, Batch } = require('zlink-stream');

async function main(endpoint = 'tcp://127.0.0.1:5555') {
  const server = new Context().socket({ profile: 1 }); // 1: limits for the internet
  console.log('listening on', server.bind(endpoint));
  const batch = new Batch(256);
  while (await server.receiveBatch(batch))
    for (const { index, errno } of server.sendBatch(batch))
      if (errno === 11) // EAGAIN: there is no room for it
        server.abortPeer(batch.peer(index));
}

main(process.argv[2]);
