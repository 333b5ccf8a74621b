// SPDX-License-Identifier: MPL-2.0
// What users write, for the compiler alone. A line with @ts-expect-error is one that it has to refuse.
import { Batch, Body, Context, ContextOption, Event, Message, Option, Reason, Socket, Stats, ZlinkError, libraryVersion, sendAny, setLog } from 'zlink-stream';

async function serve(server: Socket): Promise<void> {
  for await (const message of server) {
    if (message.event === Event.CONNECTED)
      server.join(message.peer, 'everybody');
    else if (message.isData)
      await server.send(message.peer, message.body, { text: message.isText, header: message.header });
    else if (message.event === Event.DISCONNECTED && message.reason === Reason.IDLE)
      setLog('info', (level, line) => line.startsWith(level));
  }
}

async function batches(server: Socket, batch: Batch): Promise<number> {
  let refused = 0;
  while (await server.receiveBatch(batch))
    for (const { index, errno } of server.sendBatch(batch))
      refused += errno === 11 && server.abortPeer(batch.peer(index)) ? 1 : 0;
  return refused;
}

export async function main(): Promise<string> {
  const context = new Context({ ioThreads: 1 });
  const server = context.socket({ profile: 1, framing: 3, ws_paths: '/a, /b' });
  const endpoint: string = server.bind('tcp://127.0.0.1:*');
  const body: Body = new Uint8Array(3);
  const taken: number = server.publish('room', body, { key: 7n, except: 1 });
  const { errors } = server.multicast([1, 2], 'text');
  const code: number | undefined = errors.get(1);
  const stats: Stats = server.stats();
  server.set(Option.SNDHWM, 1000);
  context.set(ContextOption.IO_THREADS, 2);
  const many: Message[] = await server.receiveMany();
  const why: string | null = many[0].property('Peer-Address');
  try {
    sendAny(many[0].peer, 'hello');
  } catch (error) {
    if (error instanceof ZlinkError && error.code === 'EHOSTUNREACH')
      return error.detail;
  }
  await serve(server);
  await batches(server, new Batch(64));
  setLog(null);
  await context.close();

  // @ts-expect-error: a peer is a number
  server.closePeer('1');
  // @ts-expect-error: there is no such option
  context.socket({ colour: 1 });
  // @ts-expect-error: a level has to have a function
  setLog('info');
  // @ts-expect-error: a message is not written to
  many[0].peer = 1;
  // @ts-expect-error: sendAny has no key
  sendAny(1, 'x', { key: 1 });
  // @ts-expect-error: only a context makes sockets
  new Socket();
  return [endpoint, taken, code, stats.msgs_in, why, libraryVersion()].join();
}
