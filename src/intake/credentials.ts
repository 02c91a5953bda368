/**
 * Whether a username and a password are those of a credential.
 *
 * Guessing is slow and learns nothing: the same work for a user that does not exist, for one that may not log in from here,
 * and for a wrong password; one hash at a time over all clients; growing waits for a user from one address, for an address,
 * and for a user from many addresses. A login that worked once from an address is kept out of the last two, so that an honest
 * client behind the same NAT, or a user that others guess at, goes on.
 *
 * A password that was proven is remembered as an HMAC under a key of this process, because an auth stack that connects for
 * each mail must not pay 40 ms each time. It is forgotten with the hash it was proven against. Passwords are never logged.
 *
 * All of it lives in memory: a restart forgets, and forgives. Bounded in the number of users and addresses remembered.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { verifyPassword } from '../config/scrypt-hash.ts';
import type { CredentialConfig, ScryptHash } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import { addressGroup, createNetworks, type Networks } from './networks.ts';
import { createBackoff } from './smtp-backoff.ts';
import { cleanForLog } from './smtp-brief-log.ts';
import { createLoginQueue } from './smtp-login-queue.ts';

export interface CredentialCheck {
  /**
   * The credential; `denied` when name, password or network do not fit; `slow-down` when the client has to come back later,
   * and then nothing was compared. Rejects only for faults of the machine.
   */
  verify(username: string, password: string, address: string): Promise<CredentialConfig | 'denied' | 'slow-down'>;
  /** The credential of an open session as it stands now; null when it is gone or its password was changed. */
  refresh(credential: CredentialConfig): CredentialConfig | null;
}

export interface CredentialCheckDeps {
  /** Read at each use. */
  readonly credentials: () => readonly CredentialConfig[];
  readonly clock: Clock;
  readonly log: Log;
  /** The system's generator unless a test passes its own. */
  readonly random?: (octets: number) => Uint8Array;
  /** Computes the hash; scrypt unless a test passes its own. */
  readonly compare?: (hash: ScryptHash, password: string) => Promise<boolean>;
}

type DeniedReason = 'unknown user' | 'wrong password' | 'not from this network';

const KEY_BYTES = 32;
const MAX_USERNAME_CHARACTERS = 256;
const MAX_REMEMBERED = 10_000;
const WAITS = { baseMs: 1000, maxMs: 60_000, forgetMs: 15 * 60_000, maxKeys: MAX_REMEMBERED } as const;
const FREE_PER_USER_AND_ADDRESS = 5;
const FREE_PER_ADDRESS = 10;
/** One address adds at most its free tries to this, so it takes several addresses to make a user wait. */
const FREE_PER_USER = 25;
const DEFAULT_COST = { n: 16_384, r: 8, p: 1 } as const;

/** Makes a check over the credentials that `credentials()` returns. */
export function createCredentialCheck(deps: CredentialCheckDeps): CredentialCheck {
  const { clock, log, random = randomBytes, compare = verifyPassword } = deps;
  const key = random(KEY_BYTES);
  const decoy = { salt: random(16), hash: random(KEY_BYTES) };
  const proven = new Map<string, { readonly hash: ScryptHash; readonly mac: Buffer }>();
  const pairs = createBackoff(clock, { ...WAITS, free: FREE_PER_USER_AND_ADDRESS });
  const addresses = createBackoff(clock, { ...WAITS, free: FREE_PER_ADDRESS });
  const users = createBackoff(clock, { ...WAITS, free: FREE_PER_USER });
  const failing = createBackoff(clock, { ...WAITS, free: 0 });
  const welcome = new Set<string>();
  const queue = createLoginQueue();
  const inFlight = new Map<string, Promise<CredentialConfig | 'denied' | 'slow-down'>>();
  const networks = new WeakMap<CredentialConfig, Networks>();

  const find = (username: string): CredentialConfig | null =>
    deps.credentials().find((credential) => credential.username === username) ?? null;

  const mayComeFrom = (credential: CredentialConfig, address: string): boolean => {
    if (credential.networks.length === 0) return true;
    const known = networks.get(credential) ?? createNetworks(credential.networks);
    networks.set(credential, known);
    return known.contains(address);
  };

  const isProven = (credential: CredentialConfig, mac: Buffer): boolean => {
    const entry = proven.get(credential.username);
    return entry !== undefined && sameHash(entry.hash, credential.password) && timingSafeEqual(entry.mac, mac);
  };

  const mustWait = (pair: string, group: string, username: string): boolean =>
    pairs.blocked(pair) || (!welcome.has(pair) && (addresses.blocked(group) || users.blocked(username)));

  /** The hash to compute for a name that may not log in: as costly as the others. */
  const decoyHash = (): ScryptHash => ({ ...DEFAULT_COST, ...costOf(deps.credentials()[0]), ...decoy });

  const succeed = (credential: CredentialConfig, pair: string, group: string): CredentialConfig => {
    pairs.succeed(pair);
    addresses.succeed(group);
    failing.succeed(group);
    welcome.delete(pair);
    welcome.add(pair);
    if (welcome.size > MAX_REMEMBERED) {
      const oldest = welcome.values().next();
      if (oldest.done !== true) welcome.delete(oldest.value);
    }
    return credential;
  };

  const deny = (reason: DeniedReason, username: string, address: string, pair: string, group: string): 'denied' => {
    const onPair = pairs.fail(pair);
    const onAddress = addresses.fail(group);
    failing.fail(group);
    const onUser = onPair.failures <= FREE_PER_USER_AND_ADDRESS ? users.fail(username) : { waitMs: 0 };
    const waitMs = Math.max(onPair.waitMs, onAddress.waitMs, onUser.waitMs);
    log.warn(
      { event: 'smtp.login-refused', client: address, username: cleanForLog(username), reason, wait_ms: waitMs },
      'a login was refused',
    );
    return 'denied';
  };

  return {
    async verify(username, password, address) {
      const name = username.slice(0, MAX_USERNAME_CHARACTERS);
      const group = addressGroup(address);
      const pair = `${group} ${name}`;
      if (mustWait(pair, group, name)) return 'slow-down';

      const mac = createHmac('sha256', key).update(`${username}\0${password}`).digest();
      const found = find(username);
      const candidate = found !== null && mayComeFrom(found, address) ? found : null;
      if (candidate !== null && isProven(candidate, mac)) return succeed(candidate, pair, group);

      // Connections that bring the same password at the same time share one computation, and count as one try.
      const flight = `${group} ${mac.toString('base64')}`;
      const clean = welcome.has(pair) || !failing.blocked(group);
      const answer =
        inFlight.get(flight) ??
        queue.run(group, clean, async () => {
          // While this one waited, others may have failed, and another address may have proven the password.
          if (mustWait(pair, group, name)) return 'slow-down';
          if (candidate !== null && isProven(candidate, mac)) return succeed(candidate, pair, group);
          const fits = await compare(candidate?.password ?? decoyHash(), password);
          if (found === null) return deny('unknown user', name, address, pair, group);
          if (candidate === null) return deny('not from this network', name, address, pair, group);
          if (!fits) return deny('wrong password', name, address, pair, group);
          // The config may have changed meanwhile.
          const current = find(username);
          if (current === null || !sameHash(current.password, candidate.password)) return 'denied';
          proven.set(username, { hash: current.password, mac });
          return succeed(current, pair, group);
        });
      if (answer === null) return 'slow-down';
      inFlight.set(flight, answer);
      return answer.finally(() => inFlight.delete(flight));
    },
    refresh(credential) {
      const current = find(credential.username);
      return current !== null && sameHash(current.password, credential.password) ? current : null;
    },
  };
}

function sameHash(a: ScryptHash, b: ScryptHash): boolean {
  if (a === b) return true;
  return a.n === b.n && a.r === b.r && a.p === b.p && sameBytes(a.salt, b.salt) && sameBytes(a.hash, b.hash);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function costOf(credential: CredentialConfig | undefined): Partial<Pick<ScryptHash, 'n' | 'r' | 'p'>> {
  if (credential === undefined) return {};
  const { n, r, p } = credential.password;
  return { n, r, p };
}
