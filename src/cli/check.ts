/**
 * `check`: whether the relay would start and work with this config on this machine, as the user who asks.
 *
 * It reads only; nothing is made, bound or sent. Every check runs, so that one run shows all that is wrong; without a
 * valid config there is nothing further to look at. Run it as the user that the relay runs as: permissions are judged by
 * what that user may do.
 */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Finding } from '../config/finding.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { errorText, RelayError } from '../core/errors.ts';
import { createSigner } from '../signing/sign.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { checkCertificate, checkDataFolder, checkLogFile, checkPrivateFile } from './check-files.ts';
import { clean } from './clean.ts';
import { databaseFile, openHistory } from './database.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint } from './paint.ts';
import { missingConfig, namedConfig, shellWord } from './settings.ts';

/** What one check found. `hint` may be empty. */
export interface CheckResult {
  readonly level: 'ok' | 'warning' | 'error';
  /** What was looked at: `config`, `dkim`, `tls`, `data`, `log`. */
  readonly about: string;
  readonly message: string;
  readonly hint: string;
}

/** Adds `check` to `program`. */
export function checkCommand(program: Command, io: CliIo): void {
  program
    .command('check')
    .description('tell whether config, keys and files are in order; changes nothing')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const results = await runChecks(io, namedConfig(io, options));
      if (results.some(({ level }) => level === 'error')) io.exit.code = 1;
      if (wantsJson(io, options)) {
        await io.stdout.write(results.map((result) => `${jsonLine(result)}\n`).join(''));
      } else await io.stdout.write(human(io, results));
    });
}

async function runChecks(io: CliIo, file: string): Promise<readonly CheckResult[]> {
  const missing = missingConfig(file);
  if (missing !== null) return [{ level: 'error', about: 'config', ...missing }];
  const loaded = loadConfig(file, io.env);
  if (loaded.kind === 'invalid') return loaded.findings.map((finding) => ofFinding('error', finding));
  const { config, warnings } = loaded;
  return [
    { level: 'ok', about: 'config', message: `${config.file} is valid`, hint: '' },
    ...warnings.map((finding) => ofFinding('warning', finding)),
    ...(await checkSigning(config)),
    ...(config.smtp.tls === null ? [] : await checkCertificate(config.smtp.tls, io.clock.now())),
    ...(await checkDataFolder(config.dataDir)),
    ...(await checkDatabase(config.dataDir)),
    ...(config.log.file === null ? [] : await checkLogFile(config.log.file)),
  ];
}

function ofFinding(level: 'warning' | 'error', finding: Finding): CheckResult {
  const where = `${finding.file}:${finding.line}:${finding.column}`;
  const at = finding.path === '' ? where : `${where} ${finding.path}`;
  return { level, about: 'config', message: `${at}: ${finding.message}`, hint: finding.hint };
}

async function checkSigning({ senders, routes }: Config): Promise<readonly CheckResult[]> {
  const about = 'dkim';
  const onlyCaptures = [...routes.values()].every((route) => route.type === 'sandbox');
  const results: CheckResult[] = [];
  for (const sender of senders) {
    // Where nothing leaves the machine, the relay makes the keys that are missing.
    if (onlyCaptures && sender.dkim.some(({ key }) => !existsSync(key))) {
      const message = `keys of ${sender.domain} will be made at the first start: every route is a sandbox`;
      results.push({ level: 'ok', about, message, hint: '' });
      continue;
    }
    if (sender.dkim.length === 0) {
      const message = `mail from ${sender.domain} goes out unsigned: it has no key`;
      const hint = `leadpush-relay dkim generate --domain ${sender.domain} --selector lp1 --out FILE`;
      results.push({ level: 'warning', about, message, hint });
      continue;
    }
    const absent = sender.dkim.filter(({ key }) => !existsSync(key));
    if (absent.length > 0) {
      results.push(...absent.map(({ selector, key }) => missingKey(sender.domain, selector, key)));
      continue;
    }
    try {
      await createSigner([sender]);
      const selectors = sender.dkim.map(({ selector }) => selector).join(', ');
      results.push({ level: 'ok', about, message: `${sender.domain} is signed with ${selectors}`, hint: '' });
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      results.push({ level: 'error', about, message: error.message, hint: error.hint });
    }
    for (const { key } of sender.dkim) results.push(...(await checkPrivateFile(about, key)));
  }
  return results;
}

function missingKey(domain: string, selector: string, file: string): CheckResult {
  // The name of the file is the only word on what kind of key was meant.
  const algorithm = /ed25519/i.test(file) ? ' --algorithm ed25519' : '';
  return {
    level: 'error',
    about: 'dkim',
    message: `the key of ${domain}, selector ${selector}, is missing: ${file}`,
    hint: `Make it with: leadpush-relay dkim generate --domain ${domain} --selector ${selector}${algorithm} --out ${shellWord(file)}`,
  };
}

/** Whether the database can be read by this program: not damaged, not of a newer version. */
async function checkDatabase(folder: string): Promise<readonly CheckResult[]> {
  const file = databaseFile(folder);
  if (file === null) return [];
  try {
    const { history, close } = await openHistory(folder);
    try {
      await history.events({ limit: 1 });
    } finally {
      await close();
    }
    return [{ level: 'ok', about: 'data', message: `${file} can be read`, hint: '' }];
  } catch (error) {
    const hint = error instanceof RelayError ? error.hint : '';
    return [{ level: 'error', about: 'data', message: `${file}: ${errorText(error)}`, hint }];
  }
}

function human(io: CliIo, results: readonly CheckResult[]): string {
  const paint = createPaint(io.stdout.hasColor);
  const words = { ok: paint.green('ok     '), warning: paint.yellow('warning'), error: paint.red('error  ') };
  const lines = results.map(({ level, about, message, hint }) => {
    const more = hint === '' ? '' : `\n${' '.repeat(17)}${paint.dim(clean(hint))}`;
    return `${words[level]}  ${about.padEnd(6)}  ${clean(message)}${more}`;
  });
  const errors = results.filter(({ level }) => level === 'error').length;
  const warnings = results.filter(({ level }) => level === 'warning').length;
  const verdict =
    errors > 0 ? paint.red(`${errors} to put right before the relay can work.`) : paint.green('The relay can start.');
  return `${lines.join('\n')}\n\n${verdict}${warnings > 0 ? ` Warnings: ${warnings}.` : ''}\n`;
}
