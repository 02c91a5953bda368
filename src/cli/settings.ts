/** Which config a command works with: `--config`, else `LEADPUSH_CONFIG`, else the package's own `config/relay.yaml`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readDataFolder } from '../config/data-folder.ts';
import { formatFindings } from '../config/finding.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { shellWord } from '../core/shell-word.ts';
import type { CliIo, GlobalOptions } from './io.ts';

/** Holds from `src/cli` and from `dist/cli` alike. */
const PACKAGE_CONFIG = path.join(import.meta.dirname, '..', '..', 'config', 'relay.yaml');

const NAME_IT = 'Name the config with --config FILE, or in LEADPUSH_CONFIG.';

/** Whether `file` is there, and if not, what to say. */
export function missingConfig(file: string): { readonly message: string; readonly hint: string } | null {
  return existsSync(file) ? null : { message: `the config file ${file} does not exist`, hint: NAME_IT };
}

/** The config file that is named, as an absolute path. Throws a `RelayError` (`usage`) when there is none to use. */
export function namedConfig(io: CliIo, options: GlobalOptions): string {
  const named = options.config ?? io.env['LEADPUSH_CONFIG'];
  if (named !== undefined && named !== '') return path.resolve(named);
  if (existsSync(PACKAGE_CONFIG)) return PACKAGE_CONFIG;
  throw new RelayError('no config file was named', { code: 'usage', op: 'cli.config', hint: NAME_IT });
}

/** The config file to use, as an absolute path. Throws a `RelayError`: `usage` when none is named, `config` when it is not there. */
export function configFile(io: CliIo, options: GlobalOptions): string {
  const file = namedConfig(io, options);
  const missing = missingConfig(file);
  if (missing === null) return file;
  throw new RelayError(missing.message, { code: 'config', op: 'cli.config', hint: missing.hint });
}

/** The config in use; throws a `RelayError` (`config`) with every finding when it is not valid. */
export function loadSettings(io: CliIo, options: GlobalOptions): Config {
  const loaded = loadConfig(configFile(io, options), io.env);
  if (loaded.kind === 'config') return loaded.config;
  throw new RelayError(`the config is not valid\n${formatFindings(loaded.findings)}`, {
    code: 'config',
    op: 'cli.config',
    hint: `Put the lines above right; leadpush-relay check${placeOptions(options)} looks at them again.`,
  });
}

/** The data folder that the config names; the rest of the config need not be valid. Throws a `RelayError` (`config`). */
export function dataFolder(io: CliIo, options: GlobalOptions): string {
  const read = readDataFolder(configFile(io, options), io.env);
  if (read.kind === 'folder') return read.folder;
  throw new RelayError(`the config does not tell where the data folder is\n${formatFindings(read.findings)}`, {
    code: 'config',
    op: 'cli.config',
    hint: 'Put the line above right, or name the folder with --data FOLDER.',
  });
}

/**
 * What a next step has to repeat to mean the same relay: ` --config FILE`, ` --data FOLDER` or ` --url URL`, or nothing. A token
 * on the command line is not repeated; the file that has it is.
 */
export function placeOptions(options: GlobalOptions & { readonly data?: string }): string {
  if (options.url !== undefined) {
    const token = options.tokenFile === undefined ? '' : ` --token-file ${shellWord(options.tokenFile)}`;
    return ` --url ${shellWord(options.url)}${token}`;
  }
  if (options.data !== undefined) return ` --data ${shellWord(options.data)}`;
  return options.config === undefined ? '' : ` --config ${shellWord(options.config)}`;
}
