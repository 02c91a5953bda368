/** Opens a relay elsewhere for a command, when its options or the environment name one. */
import type { CliIo } from '../io.ts';
import type { Operator } from '../operator.ts';
import type { Reads } from '../reads.ts';
import { createRemoteClient, type RemoteClient } from './client.ts';
import { createRemoteOperator } from './operator.ts';
import { createRemoteReads } from './reads.ts';
import { type PlaceOptions, remoteTarget, travelsInClear } from './target.ts';

export interface Remote {
  readonly client: RemoteClient;
  readonly reads: Reads;
  readonly operator: Operator;
}

/** The relay that `options` or the environment name; null: the files of this machine. Throws a `RelayError` (`usage`). */
export async function openRemote(io: CliIo, options: PlaceOptions): Promise<Remote | null> {
  const target = remoteTarget(io, options);
  if (target === null) return null;
  if (target.token !== null && travelsInClear(target)) {
    await io.stderr.write(
      `Warning: ${target.text} has no TLS: the token, and all that is shown, can be read on the way. Use https, or a tunnel: ssh -L 8025:127.0.0.1:8025 HOST\n`,
    );
  }
  const client = createRemoteClient(target, io.clock, io.signal);
  return { client, reads: createRemoteReads(client), operator: createRemoteOperator(client) };
}
