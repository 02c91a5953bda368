/** Floods of a server that means harm: as fast as its client reads, until that closes the connection. */
import type { Socket } from 'node:net';

const PIECE_BYTES = 65_536;

/** What a server floods a client of HTTP with, in place of an answer. */
export const HTTP_FLOODS: Readonly<Record<'chunks' | 'interim', { readonly once: string; readonly again: string }>> = {
  chunks: {
    once: 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n',
    again: '1\r\nx\r\n',
  },
  interim: { once: '', again: 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' },
};

/** Writes `once`, then `again` without an end, in pieces of 64 KB. */
export function flood(socket: Socket, { once, again }: { readonly once: string; readonly again: string }): void {
  const piece = Buffer.from(again.repeat(Math.ceil(PIECE_BYTES / again.length)));
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
    if (!socket.destroyed) socket.once('drain', more);
  };
  socket.on('error', () => socket.destroy());
  socket.write(once);
  more();
}
