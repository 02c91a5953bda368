/**
 * A port on loopback that swallows connections: it listens, its queue is full, and the kernel drops what else comes. To a
 * client it looks like a host behind a firewall that answers nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { needProgram } from './relay.ts';

const LISTEN = `
import socket, sys
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(0)
print(s.getsockname()[1], flush=True)
sys.stdin.read()
`;

export interface BlackHole {
  readonly port: number;
  close(): Promise<void>;
}

/** Opens one; every connection to it from then on waits until its client gives up. */
export async function openBlackHole(): Promise<BlackHole> {
  const child = spawn(needProgram('/usr/bin/python3', 'python3'), ['-c', LISTEN], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const port = Number(line);
  // These fill the queue of the kernel, which accepts for a program that does not.
  const fillers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const socket = net.connect(port, '127.0.0.1').on('error', () => socket.destroy());
      await Promise.race([once(socket, 'connect'), new Promise((resolve) => setTimeout(resolve, 200))]);
      return socket;
    }),
  );
  return {
    port,
    async close() {
      for (const socket of fillers) socket.destroy();
      child.stdin.end();
      await exited;
    },
  };
}
