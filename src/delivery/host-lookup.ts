/**
 * Addresses of host names from the system's resolver (hosts file, search list and all), so that a name whose DNS hangs holds up no
 * other.
 *
 * The system's call blocks a thread of a small pool, for ten seconds and more when no server answers, and cannot be broken off. Node
 * gives such calls half of the pool at most, and the rest waits in line, whoever it is for. So the line is kept here: each name
 * is asked for once at a time, few at once, and of those places one is kept for the names that mail goes to. A name that had no answer
 * when it was asked for last shares one place with its like, mail and webhooks in turn. `bin.mjs` makes the pool large enough.
 */
import dns, { type LookupAddress, type LookupAllOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { type Clock, systemClock } from '../core/time.ts';

/** What a name is looked up for. */
export type LookupUse = 'mail' | 'webhook';

/** Asks the system for all addresses of a name. */
export type SystemLookup = (
  name: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** At the same time, in all. Half of the thread pool has to be as many. */
const PLACES = 3;
/** Of these, for all but names of mail that are not in doubt. */
const OTHER_PLACES = PLACES - 1;
const DOUBTFUL_PLACES = 1;
/** A failure after that long says that nobody answered. */
const HUNG_MS = 1000;
/** Names that are remembered; they come from configs. */
const MAX_KNOWN = 1000;

interface Job {
  readonly name: string;
  readonly options: LookupAllOptions;
  readonly waiters: Parameters<SystemLookup>[2][];
  use: LookupUse;
}

/** Makes a line before `lookup`. What it returns is the `lookup` of sockets and requests for `use`. */
export function createHostLookup(lookup: SystemLookup, clock: Clock): (use: LookupUse) => LookupFunction {
  const jobs = new Map<string, Job>();
  const waiting: Job[] = [];
  /** Whether the last look-up of a name hung. */
  const hung = new Map<string, boolean>();
  let running = 0;
  let others = 0;
  let doubtful = 0;
  let lastDoubtful: LookupUse = 'webhook';

  function next(): Job | undefined {
    const isDoubtful = ({ name }: Job): boolean => hung.get(name) === true;
    const first = (wanted: (job: Job) => boolean): Job | undefined => waiting.find(wanted);
    const mail = first((job) => job.use === 'mail' && !isDoubtful(job));
    if (mail !== undefined || others >= OTHER_PLACES) return mail;
    return (
      first((job) => hung.get(job.name) === false) ??
      first((job) => !isDoubtful(job)) ??
      (doubtful >= DOUBTFUL_PLACES ? undefined : (first(({ use }) => use !== lastDoubtful) ?? waiting[0]))
    );
  }

  function start(): void {
    while (running < PLACES) {
      const job = next();
      if (job === undefined) return;
      waiting.splice(waiting.indexOf(job), 1);
      run(job);
    }
  }

  function run(job: Job): void {
    const { name, use, options } = job;
    const wasHung = hung.get(name) === true;
    const isOther = use === 'webhook' || wasHung;
    if (wasHung) lastDoubtful = use;
    running++;
    others += isOther ? 1 : 0;
    doubtful += wasHung ? 1 : 0;
    const startedMs = clock.monotonicMs();
    lookup(name, options, (error, addresses) => {
      running--;
      others -= isOther ? 1 : 0;
      doubtful -= wasHung ? 1 : 0;
      remember(name, error !== null && clock.monotonicMs() - startedMs >= HUNG_MS);
      jobs.delete(keyOf(name, options));
      start();
      for (const waiter of job.waiters) waiter(error, addresses);
    });
  }

  function remember(name: string, isHung: boolean): void {
    hung.delete(name);
    hung.set(name, isHung);
    const [oldest] = hung.keys();
    if (hung.size > MAX_KNOWN && oldest !== undefined) hung.delete(oldest);
  }

  return (use) => (name, given, done) => {
    const options: LookupAllOptions = { ...given, all: true };
    const answer: Job['waiters'][number] = (error, addresses) => {
      const [first] = error === null ? addresses : [];
      if (error === null && given.all === true) done(null, addresses);
      else done(error, first?.address ?? '', first?.family);
    };
    const key = keyOf(name, options);
    const known = jobs.get(key);
    if (known === undefined) {
      const job: Job = { name, options, use, waiters: [answer] };
      jobs.set(key, job);
      waiting.push(job);
    } else {
      known.waiters.push(answer);
      if (use === 'mail') known.use = 'mail';
    }
    start();
  };
}

function keyOf(name: string, { family, hints, order, verbatim }: LookupAllOptions): string {
  return JSON.stringify([name, family, hints, order, verbatim]);
}

/** The one line of this process, as there is one pool. */
export const hostLookup: (use: LookupUse) => LookupFunction = createHostLookup(
  (name, options, done) => dns.lookup(name, options, done),
  systemClock,
);
