/**
 * Loaded into a relay with `--import`: bugs that quote the mail at hand, where `X-Bug: PLACE` is in it. They are put where the relay
 * hands octets to Node, so that no part of it knows of them.
 */
import { Hash } from 'node:crypto';
import { Socket } from 'node:net';

function quoting(data: string | Uint8Array): Error {
  const text = Buffer.from(data).toString('latin1');
  return new TypeError(`cannot handle ${JSON.stringify(text)}\n    at ${text}\n    at quoted (${text}:1:1)`);
}

function methodOf(owner: object, name: string): (...args: unknown[]) => unknown {
  const method: unknown = Reflect.get(owner, name);
  if (typeof method !== 'function') throw new Error(`no ${name}`);
  return (...args) => Reflect.apply(method, args[0], args.slice(1));
}

const has = (data: string | Uint8Array, place: string): boolean => Buffer.from(data).includes(`X-Bug: ${place}`);

// Over octets while mail is accepted: the digest of an idempotency key, which has the header before the body.
const update = methodOf(Hash.prototype, 'update');
let broken = false;
Reflect.set(Hash.prototype, 'update', function (this: Hash, data: string | Uint8Array, ...rest: readonly unknown[]) {
  broken ||= data === 'accept';
  if (broken && typeof data !== 'string') {
    broken = false;
    throw quoting(data);
  }
  return update(this, data, ...rest);
});

// While it is sent, where nobody catches it.
const write = methodOf(Socket.prototype, 'write');
Reflect.set(Socket.prototype, 'write', function (this: Socket, data: string | Uint8Array, ...rest: readonly unknown[]) {
  if (has(data, 'delivery')) throw quoting(data);
  return write(this, data, ...rest);
});
