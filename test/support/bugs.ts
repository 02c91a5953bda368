/**
 * Loaded into a relay with `--import`: bugs that quote the mail at hand, where `X-Bug: PLACE` is in it. They are put where the relay
 * hands octets to Node, so that no part of it knows of them.
 */
import { Hash } from 'node:crypto';
import { Socket } from 'node:net';

type Update = (this: Hash, data: string | Uint8Array, ...rest: readonly unknown[]) => Hash;
type Write = (this: Socket, data: string | Uint8Array, ...rest: readonly unknown[]) => boolean;

function quoting(data: string | Uint8Array): Error {
  const text = Buffer.from(data).toString('latin1');
  return new TypeError(`cannot handle ${JSON.stringify(text)}\n    at ${text}\n    at quoted (${text}:1:1)`);
}

const has = (data: string | Uint8Array, place: string): boolean => Buffer.from(data).includes(`X-Bug: ${place}`);

// Over octets while mail is accepted: the digest of an idempotency key, which has the header before the body.
const update = Reflect.get(Hash.prototype, 'update') as Update;
let broken = false;
Reflect.set(Hash.prototype, 'update', function (this: Hash, data: string | Uint8Array, ...rest: readonly unknown[]) {
  broken ||= data === 'accept';
  if (broken && typeof data !== 'string') {
    broken = false;
    throw quoting(data);
  }
  return Reflect.apply(update, this, [data, ...rest]);
});

// While it is sent, where nobody catches it.
const write = Reflect.get(Socket.prototype, 'write') as Write;
Reflect.set(Socket.prototype, 'write', function (this: Socket, data: string | Uint8Array, ...rest: readonly unknown[]) {
  if (has(data, 'delivery')) throw quoting(data);
  return Reflect.apply(write, this, [data, ...rest]);
});
