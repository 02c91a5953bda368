/**
 * `check`: whether the relay would start and work with this config on this machine, as the user who asks; with `--dns`,
 * whether DNS says of it what other servers want to hear; with `--connect`, whether the routes take its login and the listeners
 * turn strangers away.
 *
 * It changes nothing and sends no mail. Every check runs, so that one run shows all that is wrong; without a valid config
 * there is nothing further to look at. Run it as the user that the relay runs as: permissions are judged by what that user
 * may do. Ends with 1 when there is an error; warnings alone end with 0.
 */
import type { Command } from 'commander';
import type { Finding } from '../config/finding.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { errorText, RelayError } from '../core/errors.ts';
import { checkCertificate } from '../doctor/check-certificate.ts';
import { checkClockAgainstEvents } from '../doctor/check-clock.ts';
import { checkDisk } from '../doctor/check-disk.ts';
import { checkExposure } from '../doctor/check-exposure.ts';
import { checkConfigFile, checkDataFolder, checkLogFile } from '../doctor/check-files.ts';
import { checkKeys } from '../doctor/check-keys.ts';
import { checkConnections } from '../doctor/connect-checks.ts';
import { type CheckFinding, createFindings } from '../doctor/finding.ts';
import { createDoctorClient } from '../doctor/client.ts';
import { createSenderChecks } from '../doctor/sender-checks.ts';
import { readKeyFile } from '../signing/keys.ts';
import { FREE_FLOOR_BYTES } from '../store/sqlite/open.ts';
import { printFindings, type Section } from './check-text.ts';
import { databaseFile, openHistory } from './database.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { RESOLVER_HELP, resolverIn } from './resolver-option.ts';
import { checkRemote } from './remote/check-remote.ts';
import { openRemote } from './remote/open.ts';
import { missingConfig, namedConfig } from './settings.ts';

interface CheckOptions extends GlobalOptions {
  readonly dns?: boolean;
  readonly connect?: boolean;
  readonly resolver?: string;
  readonly timeFrom?: string;
}

/** What the options say, once they have been read. */
interface Wishes {
  readonly dns: boolean;
  readonly connect: boolean;
  /** DNS servers to ask; null: as the config says. */
  readonly resolver: readonly string[] | null;
  readonly timeFrom: URL | null;
}

/** Adds `check` to `program`. */
export function checkCommand(program: Command, io: CliIo): void {
  program
    .command('check')
    .description('tell whether all is in order, and what mends what is not; changes nothing')
    .option('--dns', 'ask DNS for SPF, DKIM, DMARC, MX, PTR and MTA-STS')
    .option('--connect', 'log in to each route, and try the listeners as a stranger; no mail is sent')
    .option('--resolver <server>', RESOLVER_HELP)
    .option('--time-from <url>', 'with --connect: an HTTPS server whose clock is compared with ours')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<CheckOptions>();
      const remote = await openRemote(io, options);
      if (remote !== null) {
        for (const name of ['dns', 'connect', 'resolver', 'timeFrom'] as const) {
          if (options[name] !== undefined) {
            throw wrongUse(
              'check --url asks how a relay elsewhere is, and nothing more',
              'DNS and connections are checked on its machine, with --config FILE.',
            );
          }
        }
        await printFindings(io, options, await checkRemote(remote.client), 'The relay takes mail.');
        return;
      }
      const sections = await runChecks(io, namedConfig(io, options), wishesIn(options));
      await printFindings(io, options, sections, 'The relay can start.');
    });
}

function wishesIn({ dns = false, connect = false, resolver, timeFrom }: CheckOptions): Wishes {
  if (resolver !== undefined && !dns && !connect) {
    throw wrongUse('--resolver needs --dns or --connect', 'For instance: check --dns --resolver 127.0.0.1:53');
  }
  return {
    dns,
    connect,
    resolver: resolver === undefined ? null : [resolverIn(resolver)],
    timeFrom: timeFrom === undefined ? null : timeServerIn(timeFrom, connect),
  };
}

function timeServerIn(text: string, connects: boolean): URL {
  const url = URL.parse(text);
  const hint = 'For instance: check --connect --time-from https://example.com/';
  if (url?.protocol !== 'https:') throw wrongUse('--time-from is not an https address', hint);
  if (!connects) throw wrongUse('--time-from needs --connect', hint);
  return url;
}

function wrongUse(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.check', hint });
}

async function runChecks(io: CliIo, file: string, wishes: Wishes): Promise<readonly Section[]> {
  const title = 'Config and files';
  const missing = missingConfig(file);
  if (missing !== null) {
    const found = createFindings('config', file);
    found.error('missing', { ...missing, why: 'Without a config there is nothing to check.' });
    return [{ title, findings: found.list, isVital: true }];
  }
  const loaded = loadConfig(file, io.env);
  if (loaded.kind === 'invalid') {
    return [{ title, findings: loaded.findings.flatMap((finding) => ofFinding('error', finding)), isVital: true }];
  }
  const { config, warnings } = loaded;
  const valid = createFindings('config', config.file);
  valid.ok(`${config.file} is valid`);
  const database = await checkDatabase(config.dataDir);
  const findings = [
    ...valid.list,
    ...warnings.flatMap((finding) => ofFinding('warning', finding)),
    ...(await checkConfigFile(config)),
    ...(await checkKeys(config)),
    ...(config.smtp.tls === null ? [] : await checkCertificate(config.smtp.tls, config.hostname, io.clock.now())),
    ...(await checkDataFolder(config.dataDir)),
    ...database.findings,
    ...(await checkDisk(config.dataDir, { floorBytes: FREE_FLOOR_BYTES })),
    ...(config.log.file === null ? [] : await checkLogFile(config.log.file)),
    ...checkExposure(config),
    ...checkClockAgainstEvents(database.newestEventAt, io.clock.now()),
  ];
  const sections: Section[] = [{ title, findings, isVital: true }];
  const [dns, connected] = await Promise.all([
    wishes.dns ? askDns(io, config, wishes) : [],
    wishes.connect ? connect(io, config, wishes) : [],
  ]);
  sections.push(...dns, ...connected);
  return sections.map(onceEach());
}

/** What two sections have found alike stays in the first. */
function onceEach(): (section: Section) => Section {
  const seen = new Set<string>();
  return ({ findings: all, ...section }) => {
    const findings = all.filter(({ code, message }) => {
      const key = `${code} ${message}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    return { ...section, findings };
  };
}

async function askDns({ clock, signal }: CliIo, given: Config, wishes: Wishes): Promise<readonly Section[]> {
  const config = (): Config => given;
  const client = createDoctorClient({ config, named: wishes.resolver, clock });
  const checks = createSenderChecks({ config, client, clock, readKey: readKeyFile, captured: 'ask' });
  const [reports, host] = await Promise.all([checks.checkAll(signal), checks.checkHost(signal)]);
  return [
    ...reports.map(({ domain, findings }) => ({ title: `DNS of ${domain}`, findings })),
    ...(host.length === 0 ? [] : [{ title: 'DNS of this relay', findings: host }]),
  ];
}

async function connect({ clock, signal }: CliIo, config: Config, wishes: Wishes): Promise<readonly Section[]> {
  const client = createDoctorClient({ config: () => config, named: wishes.resolver, clock });
  const report = await checkConnections({ config, client, clock, signal, timeFrom: wishes.timeFrom });
  return [
    { title: 'Routes', findings: report.routes },
    { title: 'Listeners, as a stranger sees them', findings: report.listeners },
    { title: 'Clock', findings: report.clock },
  ].filter(({ findings }) => findings.length > 0);
}

function ofFinding(level: 'warning' | 'error', finding: Finding): readonly CheckFinding[] {
  const where = `${finding.file}:${finding.line}:${finding.column}`;
  const at = finding.path === '' ? where : `${where} ${finding.path}`;
  const found = createFindings('config', finding.path);
  const words = { message: `${at}: ${finding.message}`, why: '', hint: finding.hint };
  if (level === 'error') found.error('invalid', words);
  else found.warning('doubtful', words);
  return found.list;
}

/** Whether the database can be read by this program: not damaged, not of a newer version; and when its newest event was. */
async function checkDatabase(
  folder: string,
): Promise<{ readonly findings: readonly CheckFinding[]; readonly newestEventAt: number | null }> {
  const file = databaseFile(folder);
  if (file === null) return { findings: [], newestEventAt: null };
  let newestEventAt: number | null = null;
  const found = createFindings('data', file);
  try {
    const { history, close } = await openHistory(folder);
    try {
      const [newest] = await history.events({ limit: 1 });
      newestEventAt = newest === undefined ? null : Date.parse(newest.timestamp);
    } finally {
      await close();
    }
    found.ok(`${file} can be read`);
  } catch (error) {
    const hint = error instanceof RelayError ? error.hint : '';
    const why = 'The relay does not start without its database.';
    found.error('database', { message: `${file}: ${errorText(error)}`, why, hint });
  }
  return { findings: found.list, newestEventAt };
}
