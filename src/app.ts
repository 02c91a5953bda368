/**
 * The composition root: opens what is concrete, hands each room its slice, starts in order, stops in reverse.
 *
 *   start   config -> log -> keys -> store -> webhooks -> queue -> upkeep -> reports -> http -> doors (SMTP listeners)
 *   stop    doors (messages under way get their answer) -> reports -> upkeep -> queue (attempts past their dot finish) -> http
 *           -> webhooks (requests under way finish) -> store -> log
 *
 * Nothing else opens a store, a transport or a listener. The process's own end (signals, exit codes) is `main.ts`'s.
 */
import { randomInt } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { startClockWatch } from './app/clock-watch.ts';
import { contentKeysOf } from './app/content-keys.ts';
import { countSignatures } from './app/counted-signer.ts';
import { openDoors } from './app/doors.ts';
import { logEvent } from './app/event-log.ts';
import { createHttp } from './app/http.ts';
import { namedIn } from './app/named.ts';
import { createReports } from './app/reports.ts';
import { routesDown } from './app/routes-down.ts';
import { makeSandboxKeys } from './app/sandbox-keys.ts';
import { endOfCertificate, loadTls } from './app/tls.ts';
import { createUndo, type Undo } from './app/undo.ts';
import { startUpkeep } from './app/upkeep.ts';
import { createWays, type Ways } from './app/ways.ts';
import { type Finding, formatFindings } from './config/finding.ts';
import { type ConfigResult, loadConfig } from './config/load.ts';
import { compareForReload } from './config/reload.ts';
import type { Config } from './config/types.ts';
import { RelayError } from './core/errors.ts';
import { isFinal } from './core/delivery.ts';
import type { EventType, RelayEvent } from './core/event.ts';
import { createIds } from './core/ids.ts';
import type { SteadyClock } from './core/steady-clock.ts';
import { createReturnPaths } from './feedback/return-path.ts';
import { createIntake } from './intake/accept.ts';
import { reportSubmission } from './intake/accept-report.ts';
import { createBounceSettings } from './intake/bounce-settings.ts';
import { createSmtpSettings } from './intake/smtp-settings.ts';
import { createContentCache } from './queue/content-cache.ts';
import { createScheduler } from './queue/scheduler.ts';
import { createSigner, type SignatureCheck, type Signer } from './signing/sign.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import type { Log } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createPinoLog, type PinoLog } from './telemetry/pino-log.ts';
import { VERSION } from './version.ts';
import { createDispatcher } from './webhooks/dispatcher.ts';

const RANDOM_STEPS = 2 ** 32;
const random = (): number => randomInt(RANDOM_STEPS) / RANDOM_STEPS;
const CONTENT_CACHE_BYTES = 16 * 1024 * 1024;
/** After these a report to the envelope sender may be owed. */
const OWING_EVENTS: ReadonlySet<EventType> = new Set([
  'message.bounced',
  'message.expired',
  'message.delayed',
  'message.delivered',
]);

export interface RelayOptions {
  readonly configFile: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: SteadyClock;
}

export interface Relay {
  readonly config: Config;
  readonly smtp: readonly { readonly host: string; readonly port: number; readonly tls: string }[];
  readonly http: { readonly host: string; readonly port: number };
  /** Reads the config again: all of it applies, or none of it, and then the log says why. `ignored`: the relay ends. */
  reload(): Promise<ReloadResult>;
  /** Opens `log.file` anew, after it was moved away. */
  reopenLog(): void;
  /** Takes no new mail, finishes what was begun, and closes everything. */
  stop(): Promise<void>;
}

type ReloadResult = 'reloaded' | 'refused' | 'ignored';

type ValidConfig = Extract<ConfigResult, { kind: 'config' }>;

/** What a reload replaces as a whole. */
interface Settings {
  readonly config: Config;
  readonly signer: Signer & SignatureCheck;
  readonly smtp: ReturnType<typeof createSmtpSettings>;
  readonly bounces: ReturnType<typeof createBounceSettings>;
}

/** Starts a relay; rejects with a `RelayError` (`config`, `key`, `store-open`, `listen`) and leaves nothing running. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { config, warnings } = readConfig(options.configFile, options.env);
  const pinoLog = createPinoLog(config.log);
  logWarnings(pinoLog.log, warnings);
  const undo = createUndo();
  try {
    return await start(config, options, pinoLog, undo);
  } catch (error) {
    try {
      await undo.unwind();
    } finally {
      await pinoLog.stop();
    }
    throw error;
  }
}

async function start(
  config: Config,
  options: RelayOptions,
  { log, reopen: reopenLog, stop: stopLog }: PinoLog,
  undo: Undo,
): Promise<Relay> {
  const { clock, env } = options;
  await mkdir(config.dataDir, { recursive: true });
  await chmod(config.dataDir, 0o700);
  await makeSandboxKeys(config, log);
  const firstSigner = await createSigner(config.senders);
  const tls = await loadTls(config, clock);
  let stopping = false;
  let reloading: Promise<ReloadResult> = Promise.resolve('reloaded');

  const ids = createIds(clock);
  const store = await openSqliteStore({
    file: path.join(config.dataDir, 'relay.db'),
    clock,
    dropContentWhenSettled: config.retention.contentMs === 0,
    exclusive: true,
    contentKeys: contentKeysOf(config),
  });
  undo.push(() => store.stop());

  const metrics = createMetrics({
    sources: {
      queue: () => store.health.figures(),
      sizes: () => store.health.sizes(),
      accepting: () => store.health.current().accepting,
      webhooks: () => store.outbox.figures(),
      routes: () => scheduler.routes().map(([route, state]) => [route, state === 'closed']),
    },
    clock,
    log,
    version: VERSION,
    names: namedIn(config),
  });
  undo.push(async () => metrics.stop());
  let settings = settingsOf(config, countSignatures(firstSigner, metrics));
  if (tls !== null) metrics.certificate(endOfCertificate(tls));
  store.health.onCommit((commit) => metrics.commit(commit));
  const contents = createContentCache(CONTENT_CACHE_BYTES);
  const forgetWhenFinal = ({ data: { message, delivery } }: RelayEvent): void => {
    if (message !== undefined && delivery?.id != null && delivery.state !== 'rejected' && isFinal(delivery.state)) {
      contents.settled(message.id);
    }
  };
  store.feed.onEvents((events) => {
    for (const event of events) {
      logEvent(log, event);
      metrics.event(event);
      forgetWhenFinal(event);
    }
  });
  const webhooks = createDispatcher({
    outbox: store.outbox,
    clock,
    random,
    log,
    userAgent: `Leadpush-Relay/${VERSION}`,
    onTry: metrics.webhook,
  });
  undo.push(() => webhooks.stop());
  await webhooks.apply(config.webhooks);
  store.feed.onEvents((events) => webhooks.notice(events));
  store.health.onChange(({ accepting, reason }) => {
    if (accepting) log.info({ event: 'store.recovered' }, 'mail is taken again');
    else log.error({ event: 'store.unwell', reason }, 'no mail is taken until this is mended');
  });

  const wayDeps = { clock, log, domains: store.domains, random };
  let ways: Ways = createWays(config, wayDeps, null);
  const scheduler = createScheduler(
    {
      store: store.queue,
      clock,
      log,
      rules: () => ({ retry: settings.config.retry, suppressForMs: settings.config.bounces.suppressForMs }),
      cachedContent: (id) => contents.get(id),
      onRetired: (transport) => void transport.stop(),
    },
    ways.byRoute,
    await routesDown(store.history),
  );
  let smtpDoors: Relay['smtp'] = [];
  const http = createHttp({
    config: () => settings.config,
    signatures: () => settings.signer,
    smtp: () => smtpDoors,
    stopping: () => stopping,
    intake: () => intake,
    store,
    scheduler,
    webhooks,
    metrics,
    log,
    clock,
  });
  undo.push(() => http.stop());
  undo.push(async () => {
    await scheduler.stop();
    await Promise.all([...ways.byRoute.values()].map((way) => way.transport.stop()));
  });
  await scheduler.start();
  const wakeAll = (): void => {
    scheduler.wakeAll();
    webhooks.wakeAll();
  };
  store.health.onOutsideChange(wakeAll);
  const clockWatch = startClockWatch(clock, log, wakeAll);
  undo.push(async () => clockWatch.stop());

  const upkeep = startUpkeep({
    upkeep: store.upkeep,
    retention: () => settings.config.retention,
    clock,
    log,
    onDone: () => metrics.upkeepDone(),
  });
  undo.push(() => upkeep.stop());

  const paths = createReturnPaths(await store.feedback.secret());
  const intake = createIntake({
    settings: () => settings,
    store: store.intake,
    health: store.health,
    ids,
    clock,
    log,
    contents,
    chooseRoute: scheduler.chooseRoute,
    returnPath: paths.make,
    headStart: scheduler.headStart,
    interrupt: scheduler.interrupt,
    onAccepted({ record, deliveries, delayedAfterMs }, started) {
      metrics.accepted(record.tag);
      const delayAt = delayedAfterMs === null ? null : record.acceptedAt + delayedAfterMs;
      scheduler.watch({ deadline: record.deadline, delayAt });
      if (started) return;
      for (const { route } of deliveries) scheduler.wake({ route, priority: record.priority });
    },
    onRejected: (refusal) => metrics.rejected(refusal),
    onDuplicate: (tag) => metrics.duplicate(tag),
    onAudited: (tag, verdict) => metrics.linksAudited(tag, verdict),
  });

  const reports = createReports({
    reports: store.reports,
    content: (id) => store.queue.content(id),
    submit: (report) => intake.accept(reportSubmission(report, settings.config.hostname)),
    clock,
    log,
    hostname: () => settings.config.hostname,
    isRecovery: (tag) => tag !== null && settings.config.tags.get(tag)?.recovery === true,
  });
  undo.push(() => reports.stop());
  store.feed.onEvents((events) => {
    if (settings.config.bounces.dsn && events.some(({ type }) => OWING_EVENTS.has(type))) reports.wake();
  });
  reports.wake();

  const httpAddress = await http.start();
  log.info({ event: 'http.listening', ...httpAddress }, 'HTTP is open');

  const doors = await openDoors(
    {
      config,
      submission: () => settings.smtp,
      bounces: () => settings.bounces,
      credentials: () => settings.config.credentials,
    },
    { intake, feedback: store.feedback, health: store.health, paths, tls, clock, log, metrics },
    undo,
  );

  smtpDoors = doors.submission;
  log.info({ event: 'relay.ready', pid: process.pid, version: VERSION, config: config.file }, 'ready');
  return {
    config,
    smtp: doors.submission,
    http: httpAddress,
    reload() {
      // One after the other: the file as it is last wins.
      const result = reloading.then(reloadOnce);
      reloading = result.catch(() => 'refused');
      return result;
    },
    reopenLog,
    async stop() {
      stopping = true;
      log.info({ event: 'relay.stopping' }, 'stopping');
      try {
        await reloading;
        await doors.stop();
        await undo.unwind();
      } finally {
        log.info({ event: 'relay.stopped' }, 'stopped');
        await stopLog();
      }
    },
  };

  /** Everything that can fail comes first; then all of it is put in place. */
  async function reloadOnce(): Promise<ReloadResult> {
    if (stopping) return ignoreReload();
    try {
      const { config: next, warnings } = readConfig(options.configFile, env);
      const fixed = compareForReload(settings.config, next);
      if (fixed.length > 0) {
        throw new RelayError(fixed.join('; '), {
          code: 'config',
          op: 'app.reload',
          hint: 'Restart the relay, or put the old values back.',
        });
      }
      const nextTls = await loadTls(next, clock);
      const signer = countSignatures(await createSigner(next.senders), metrics);
      if (stopping) return ignoreReload();
      const nextWays = createWays(next, wayDeps, ways);
      await webhooks.apply(next.webhooks);
      settings = settingsOf(next, signer);
      ways = nextWays;
      scheduler.setLanes(ways.byRoute);
      metrics.configReloaded(namedIn(next));
      if (nextTls !== null) {
        doors.updateTls(nextTls);
        metrics.certificate(endOfCertificate(nextTls));
      }
      reopenLog();
      logWarnings(log, warnings);
      log.info({ event: 'config.reloaded', config: next.file }, 'config reloaded');
      return 'reloaded';
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      // A broken config is no trouble of a relay that ends.
      if (stopping) return ignoreReload();
      metrics.configRefused();
      log.error(
        { event: 'config.refused', reason: error.message, hint: error.hint },
        'config not reloaded: nothing changed',
      );
      return 'refused';
    }
  }

  function ignoreReload(): ReloadResult {
    log.debug({ event: 'config.ignored' }, 'the relay ends: the config is not read again');
    return 'ignored';
  }
}

function settingsOf(config: Config, signer: Signer & SignatureCheck): Settings {
  return { config, signer, smtp: createSmtpSettings(config), bounces: createBounceSettings(config) };
}

function readConfig(file: string, env: RelayOptions['env']): ValidConfig {
  const loaded = loadConfig(file, env);
  if (loaded.kind === 'config') return loaded;
  throw new RelayError(`the config is not valid:\n${formatFindings(loaded.findings)}`, {
    code: 'config',
    op: 'app.config',
    hint: '`leadpush-relay check` shows the whole state.',
  });
}

function logWarnings(log: Log, warnings: readonly Finding[]): void {
  for (const warning of warnings) log.warn({ event: 'config.warning', reason: formatFindings([warning]) }, 'config');
}
