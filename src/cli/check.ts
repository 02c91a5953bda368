/**
 * `check`: whether the relay would start and work with this config on this machine, as the user who asks; with `--dns`,
 * whether DNS says of it what other servers want to hear.
 *
 * It changes nothing and sends no mail. Every check runs, so that one run shows all that is wrong; without a valid config
 * there is nothing further to look at. Run it as the user that the relay runs as: permissions are judged by what that user
 * may do. Ends with 1 when there is an error; warnings alone end with 0.
 */
import type { Command } from 'commander';
import type { Finding } from '../config/finding.ts';
import { loadConfig } from '../config/load.ts';
import { parseServer } from '../config/network.ts';
import type { Config } from '../config/types.ts';
import { errorText, RelayError } from '../core/errors.ts';
import { checkCertificate } from '../doctor/check-certificate.ts';
import { checkConfigFile, checkDataFolder, checkLogFile } from '../doctor/check-files.ts';
import { checkKeys } from '../doctor/check-keys.ts';
import { type CheckFinding, createFindings, worstLevel } from '../doctor/finding.ts';
import { createDoctorClient } from '../doctor/client.ts';
import { createSenderChecks } from '../doctor/sender-checks.ts';
import { readKeyFile } from '../signing/keys.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { describeFindings, type Section } from './check-text.ts';
import { databaseFile, openHistory } from './database.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint } from './paint.ts';
import { missingConfig, namedConfig } from './settings.ts';

interface CheckOptions extends GlobalOptions {
  readonly dns?: boolean;
  readonly resolver?: string;
}

const DNS_PORT = 53;

/** Adds `check` to `program`. */
export function checkCommand(program: Command, io: CliIo): void {
  program
    .command('check')
    .description('tell whether config, keys and files are in order; changes nothing')
    .option('--dns', 'ask DNS for SPF, DKIM, DMARC, MX, PTR and MTA-STS')
    .option(
      '--resolver <server>',
      'DNS server to ask: 127.0.0.1:53 (default: that of the first mx route, or the system)',
    )
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<CheckOptions>();
      const servers = resolverOption(options);
      const sections = await runChecks(io, namedConfig(io, options), options, servers);
      const findings = sections.flatMap((section) => section.findings);
      if (worstLevel(findings) === 'error') io.exit.code = 1;
      if (wantsJson(io, options)) {
        await io.stdout.write(findings.map((finding) => `${jsonLine(finding)}\n`).join(''));
      } else {
        await io.stdout.write(describeFindings(createPaint(io.stdout.hasColor), sections));
      }
    });
}

function resolverOption({ resolver, dns }: CheckOptions): readonly string[] | null {
  if (resolver === undefined) return null;
  const server = parseServer(resolver, DNS_PORT);
  if (server === null || dns !== true) {
    throw new RelayError(server === null ? '--resolver is not the address of a DNS server' : '--resolver needs --dns', {
      code: 'usage',
      op: 'cli.check',
      hint: 'For instance: check --dns --resolver 127.0.0.1:53, or [2001:db8::1]:53',
    });
  }
  return [server.text];
}

async function runChecks(
  io: CliIo,
  file: string,
  options: CheckOptions,
  servers: readonly string[] | null,
): Promise<readonly Section[]> {
  const title = 'Config and files';
  const missing = missingConfig(file);
  if (missing !== null) {
    const found = createFindings('config', file);
    found.error('missing', { ...missing, why: 'Without a config there is nothing to check.' });
    return [{ title, findings: found.list }];
  }
  const loaded = loadConfig(file, io.env);
  if (loaded.kind === 'invalid') {
    return [{ title, findings: loaded.findings.flatMap((finding) => ofFinding('error', finding)) }];
  }
  const { config, warnings } = loaded;
  const valid = createFindings('config', config.file);
  valid.ok(`${config.file} is valid`);
  const findings = [
    ...valid.list,
    ...warnings.flatMap((finding) => ofFinding('warning', finding)),
    ...(await checkConfigFile(config)),
    ...(await checkKeys(config)),
    ...(config.smtp.tls === null ? [] : await checkCertificate(config.smtp.tls, config.hostname, io.clock.now())),
    ...(await checkDataFolder(config.dataDir)),
    ...(await checkDatabase(config.dataDir)),
    ...(config.log.file === null ? [] : await checkLogFile(config.log.file)),
  ];
  const sections: Section[] = [{ title, findings }];
  if (options.dns === true) sections.push(...(await askDns(io, config, servers)));
  return sections.map(onceEach());
}

/** What two sections have found alike stays in the first. */
function onceEach(): (section: Section) => Section {
  const seen = new Set<string>();
  return ({ title, findings: all }) => {
    const findings = all.filter(({ code, message }) => {
      const key = `${code} ${message}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    return { title, findings };
  };
}

async function askDns(
  { clock, signal }: CliIo,
  given: Config,
  named: readonly string[] | null,
): Promise<readonly Section[]> {
  const config = (): Config => given;
  const client = createDoctorClient({ config, named, clock });
  const checks = createSenderChecks({ config, client, clock, readKey: readKeyFile });
  const [reports, host] = await Promise.all([checks.checkAll(signal), checks.checkHost(signal)]);
  return [
    ...reports.map(({ domain, findings }) => ({ title: `DNS of ${domain}`, findings })),
    ...(host.length === 0 ? [] : [{ title: 'DNS of this relay', findings: host }]),
  ];
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

/** Whether the database can be read by this program: not damaged, not of a newer version. */
async function checkDatabase(folder: string): Promise<readonly CheckFinding[]> {
  const file = databaseFile(folder);
  if (file === null) return [];
  const found = createFindings('data', file);
  try {
    const { history, close } = await openHistory(folder);
    try {
      await history.events({ limit: 1 });
    } finally {
      await close();
    }
    found.ok(`${file} can be read`);
  } catch (error) {
    const hint = error instanceof RelayError ? error.hint : '';
    const why = 'The relay does not start without its database.';
    found.error('database', { message: `${file}: ${errorText(error)}`, why, hint });
  }
  return found.list;
}
