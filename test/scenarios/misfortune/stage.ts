/**
 * A stage for misfortunes: the real relay, and for each scene a next hop of its own that misbehaves (route `first`) and one
 * that does not (route `second`, unless the scene is `alone`).
 *
 *     const stage = useStage({ drops: { first: { on: { MAIL: hangUp } } } });
 *     const mail = await stage().scene('drops').send();
 *     expect(await mail.end()).toMatchObject({ state: 'delivered', copies: { first: 0, second: 1 } });
 *
 * Scenes share one relay and nothing else: each has its own recipient domain, rule, routes (and so breakers) and hops.
 * Whatever a scene asks, the laws that hold for every delivery are checked with every story that is read (`story.ts`).
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, expect } from 'vitest';
import { isFinal } from '../../../src/core/delivery.ts';
import type { RelayEvent } from '../../../src/core/event.ts';
import { parseMessageId } from '../../../src/core/ids.ts';
import { openSqliteReader, type SqliteReader } from '../../../src/store/sqlite/open-reader.ts';
import { type NextHop, type NextHopOptions, type ReceivedMessage, startNextHop } from '../../support/next-hop.ts';
import { eventGaps } from '../../support/ledger.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../../support/relay.ts';
import { readStory, type Story } from './story.ts';

/** In every body: it may be seen at a next hop, and nowhere else. */
export const CANARY = 'CANARY-7d41c0';

type Config = Readonly<Record<string, unknown>>;

export interface SceneSpec {
  readonly first?: NextHopOptions;
  /** Keys of route `first` beside those that follow from its hop; null takes one away. */
  readonly firstRoute?: Config;
  readonly second?: NextHopOptions;
  /** There is no second route. */
  readonly alone?: boolean;
}

export interface StageOptions {
  /** How many times as fast the relay's time passes; default 1. Spans here and in the relay's config are of its own time. */
  readonly fast?: number;
  /** What must stand in no log line and no event, besides `CANARY`. */
  readonly secrets?: readonly string[];
  /** Waits between attempts; default 200ms and then 500ms of real time. */
  readonly ladder?: readonly string[];
}

export interface MailOptions {
  /** Local parts of the recipients; default `ann`. */
  readonly to?: readonly string[];
  readonly ttl?: string;
  readonly priority?: 'critical' | 'normal' | 'bulk';
  readonly text?: string;
}

export interface Mail {
  readonly id: string;
  /** The story so far of the delivery to `local`. */
  story(local?: string): Promise<Story>;
  /** Waits until `holds`, and returns that story. */
  when(holds: (story: Story) => boolean, local?: string): Promise<Story>;
  /** Waits for the final state, and returns the story. */
  end(local?: string): Promise<Story>;
}

export interface Scene {
  /** The hops as they are now. */
  readonly first: NextHop;
  readonly second: NextHop;
  send(mail?: MailOptions): Promise<Mail>;
  /** Ends the first hop and its port: connections are refused. */
  takeDown(): Promise<void>;
  /** Starts the first hop again on its port, `as` it was in the beginning or otherwise. */
  bringBack(as?: NextHopOptions): Promise<void>;
  /** Ends the second hop and its port. */
  takeDownSecond(): Promise<void>;
  /** Starts the second hop again. */
  bringBackSecond(): Promise<void>;
  /** Waits until the relay's log has told `event` of route `first` so many times. */
  told(event: 'route.down' | 'route.up' | 'route.probed', times?: number): Promise<void>;
  /** `route.down` and `route.up` of route `first` so far, in order. */
  routeEvents(): Promise<readonly RelayEvent[]>;
}

export interface Stage<Name extends string> {
  readonly home: RelayHome;
  readonly relay: RelayProcess;
  scene(name: Name): Scene;
  /** Writes the config anew with these keys of the scene's first route, and has the relay read it. */
  reconfigure(name: Name, firstRoute: Config): Promise<void>;
  /** Starts the relay again after it was stopped. */
  restart(): Promise<void>;
}

/** Opens a stage before the tests of this `describe` and closes it after them. */
export function useStage<Name extends string>(
  scenes: Readonly<Record<Name, SceneSpec>>,
  options: StageOptions = {},
): () => Stage<Name> {
  let stage: (Stage<Name> & { close(): Promise<void> }) | null = null;
  beforeAll(async () => {
    stage = await openStage(scenes, options);
  });
  afterAll(async () => stage?.close());
  return () => {
    if (stage === null) throw new Error('the stage is not open');
    return stage;
  };
}

async function openStage<Name extends string>(
  scenes: Readonly<Record<Name, SceneSpec>>,
  { fast = 1, secrets = [], ladder = [`${200 * fast}ms`, `${500 * fast}ms`] }: StageOptions,
): Promise<Stage<Name> & { close(): Promise<void> }> {
  const home = await createRelayHome();
  const env = {
    FAST_TIME: String(fast),
    FAST_TIME_ORIGIN: String(Date.now()),
    NODE_OPTIONS: fast === 1 ? '' : `--import ${new URL('./fast-time.ts', import.meta.url).href}`,
  };
  const routes: Record<string, Config> = {};
  const rules: Config[] = [];
  const players = new Map<string, Player>();
  const configure = (): Promise<void> =>
    home.configure(
      sandboxConfig({
        tags: { 'password-reset': { priority: 'critical', ttl: '15m', collapse: 'none' } },
        routes,
        rules,
        retry: { critical: ladder, normal: ladder, bulk: ladder },
      }),
    );
  const start = (): Promise<RelayProcess> => home.start({ env });

  for (const [index, [name, spec]] of Object.entries<SceneSpec>(scenes).entries()) {
    const slug = `s${index}`;
    const player = await createPlayer(slug, spec);
    players.set(name, player);
    routes[`${slug}-first`] = merge(await routeTo(home, slug, 'first', player.first), spec.firstRoute ?? {});
    if (spec.alone !== true) routes[`${slug}-second`] = await routeTo(home, slug, 'second', player.second);
    const via = [`${slug}-first`, ...(spec.alone === true ? [] : [`${slug}-second`])];
    rules.push({ name: slug, when: { recipient_domain: [player.domain] }, via });
  }
  await configure();
  let relay = await start();
  let reader = await openSqliteReader(home.database);
  const sent: (() => Promise<Story>)[] = [];

  const playerOf = (name: Name): Player => {
    const player = players.get(name);
    if (player === undefined) throw new Error(`no scene ${name}`);
    return player;
  };
  return {
    home,
    get relay() {
      return relay;
    },
    scene: (name) => {
      const player = playerOf(name);
      return {
        get first() {
          return player.first;
        },
        get second() {
          return player.second;
        },
        takeDown: () => player.takeDown(),
        bringBack: (as) => player.bringBack(as),
        takeDownSecond: () => player.takeDownSecond(),
        bringBackSecond: () => player.bringBackSecond(),
        async send(options = {}) {
          const mail = await send(relay, () => reader, player, options);
          sent.push(...(options.to ?? ['ann']).map((local) => () => mail.story(local)));
          return mail;
        },
        told: (event, times = 1) =>
          until(
            () =>
              relay.log.filter((line) => line['event'] === event && line['route'] === `${player.slug}-first`).length >=
              times,
            `${times} times ${event} of ${name}`,
          ),
        routeEvents: async () =>
          (await reader.events({ types: ['route.down', 'route.up'], limit: 1000 })).filter(
            ({ data }) => data.route?.name === `${player.slug}-first`,
          ),
      };
    },
    async reconfigure(name, firstRoute) {
      const route = `${playerOf(name).slug}-first`;
      routes[route] = merge(routes[route] ?? {}, firstRoute);
      await configure();
      const seen = new Set(relay.log);
      relay.signal('SIGHUP');
      await relay.line((line) => line['event'] === 'config.reloaded' && !seen.has(line));
    },
    async restart() {
      relay = await start();
      await reader.stop();
      reader = await openSqliteReader(home.database);
    },
    async close() {
      try {
        const code = await relay.stop();
        // Once more, now that nothing can come any more: the laws hold for every mail that was sent.
        for (const read of sent) await read();
        expect(eventGaps(home)).toBe(0);
        const events = await reader.events({ limit: 10_000 });
        await reader.stop();
        const told = JSON.stringify([relay.log, relay.stderr(), events]);
        for (const secret of [CANARY, ...secrets]) expect(told).not.toContain(secret);
        expect(code, 'exit code of the relay').toBe(0);
      } finally {
        await relay.kill9();
        await Promise.all([...players.values()].map((player) => player.close()));
        await home.remove();
      }
    },
  };
}

/** The hops of one scene, through all their lives. */
interface Player {
  readonly slug: string;
  readonly domain: string;
  readonly first: NextHop;
  readonly second: NextHop;
  received(which: 'first' | 'second'): readonly ReceivedMessage[];
  takeDown(): Promise<void>;
  bringBack(as?: NextHopOptions): Promise<void>;
  takeDownSecond(): Promise<void>;
  bringBackSecond(): Promise<void>;
  close(): Promise<void>;
}

async function createPlayer(slug: string, spec: SceneSpec): Promise<Player> {
  let first = await startNextHop(spec.first);
  let second = await startNextHop(spec.second);
  const all = { first: [first], second: [second] };
  return {
    slug,
    domain: `${slug}.example.net`,
    get first() {
      return first;
    },
    get second() {
      return second;
    },
    received: (which) => all[which].flatMap((hop) => hop.messages),
    takeDown: () => first.close(),
    async bringBack(as = spec.first) {
      first = await startNextHop({ ...as, port: first.port });
      all.first.push(first);
    },
    takeDownSecond: () => second.close(),
    async bringBackSecond() {
      second = await startNextHop({ ...spec.second, port: second.port });
      all.second.push(second);
    },
    close: async () => void (await Promise.all([first.close(), second.close()])),
  };
}

/** `config` with `over` laid over it; null takes a key away. */
function merge(config: Config, over: Config): Config {
  return Object.fromEntries(Object.entries({ ...config, ...over }).filter(([, value]) => value !== null));
}

async function routeTo(home: RelayHome, slug: string, which: string, hop: NextHop): Promise<Config> {
  const route = { type: 'smtp', host: '127.0.0.1', port: hop.port, connections: 5 };
  if (hop.ca === '') return { ...route, tls: 'none' };
  const ca = path.join(home.dir, `${slug}-${which}.pem`);
  await writeFile(ca, hop.ca);
  return { ...route, tls: 'required', ca };
}

async function send(
  relay: RelayProcess,
  reader: () => SqliteReader,
  player: Player,
  { to = ['ann'], ttl, priority, text = `https://accounts.example.com/reset?token=${CANARY}` }: MailOptions,
): Promise<Mail> {
  const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
  const { response } = await transport.sendMail({
    from: 'app@example.com',
    to: to.map((local) => `${local}@${player.domain}`),
    subject: `Reset your password ${CANARY}`,
    text,
    headers: {
      'X-Leadpush-Tag': 'password-reset',
      ...(ttl === undefined ? {} : { 'X-Leadpush-TTL': ttl }),
      ...(priority === undefined ? {} : { 'X-Leadpush-Priority': priority }),
    },
  });
  const id = parseMessageId(/msg_\w+/.exec(response)?.[0] ?? '');
  if (id === null) throw new Error(`not accepted: ${response}`);

  const read = (local: string): Promise<Story> =>
    readStory({ history: reader(), slug: player.slug, received: player.received }, id, `${local}@${player.domain}`);
  const when: Mail['when'] = async (holds, local = 'ann') => {
    let story = await read(local);
    await until(
      async () => {
        story = await read(local);
        return holds(story);
      },
      `the story of ${id}`,
      30_000,
    );
    return story;
  };
  return {
    id,
    story: (local = 'ann') => read(local),
    when,
    end: (local) => when(({ state }) => isFinal(state), local),
  };
}
