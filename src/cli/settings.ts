/** Which config a command works with: `--config`, else `LEADPUSH_CONFIG`, else the package's own `config/relay.yaml`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { formatFindings } from '../config/finding.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import type { CliIo, GlobalOptions } from './io.ts';

/** Holds from `src/cli` and from `dist/cli` alike. */
const PACKAGE_CONFIG = path.join(import.meta.dirname, '..', '..', 'config', 'relay.yaml');

/** The config file to use, as an absolute path. Throws a `RelayError` (`usage`) when none was named and none is there. */
export function configFile(io: CliIo, options: GlobalOptions): string {
  const named = options.config ?? io.env['LEADPUSH_CONFIG'];
  if (named !== undefined && named !== '') return path.resolve(named);
  if (existsSync(PACKAGE_CONFIG)) return PACKAGE_CONFIG;
  throw new RelayError('no config file was named', {
    code: 'usage',
    op: 'cli.config',
    hint: 'Give --config FILE, or set LEADPUSH_CONFIG.',
  });
}

/** The config in use; throws a `RelayError` (`config`) with every finding when it is not valid. */
export function loadSettings(io: CliIo, options: GlobalOptions): Config {
  const loaded = loadConfig(configFile(io, options), io.env);
  if (loaded.kind === 'config') return loaded.config;
  throw new RelayError(`the config is not valid\n${formatFindings(loaded.findings)}`, {
    code: 'config',
    op: 'cli.config',
    hint: 'Put the lines above right. To look at mail without a config: tail, trace, queue and stats take --data FOLDER.',
  });
}
