/** A folder of its own for a config and the files that it names; taken away after the test. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { formatFindings } from '../../src/config/finding.ts';
import { type ConfigResult, loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/types.ts';

export interface ConfigFolder {
  readonly path: string;
  /** Writes a file with mode 0600 (or `mode`), and gives its absolute path. */
  write(name: string, content: string | Uint8Array, mode?: number): string;
}

export function createConfigFolder(): ConfigFolder {
  const folder = mkdtempSync(path.join(tmpdir(), 'relay-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return {
    path: folder,
    write(name, content, mode = 0o600) {
      const file = path.join(folder, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
      chmodSync(file, mode);
      return file;
    },
  };
}

/** The shortest config without warnings; tests add to it. */
export const MINIMAL = `
smtp: { trusted_networks: [127.0.0.0/8] }
unknown_senders: unsigned
routes: { sandbox: { type: sandbox } }
rules: [{ name: default, via: [sandbox] }]
`;

/** Loads `text` as a config in a folder of its own. */
export function loadText(text: string, env: NodeJS.ProcessEnv = {}): ConfigResult {
  return loadConfig(createConfigFolder().write('relay.yaml', text), env);
}

/** The config of a result that must be one. */
export function configOf(result: ConfigResult): Config {
  if (result.kind === 'invalid') throw new Error(formatFindings(result.findings));
  return result.config;
}

/** `path: message` of each finding of a result that must be invalid. */
export function faultsOf(result: ConfigResult): readonly string[] {
  if (result.kind === 'config') throw new Error('the config was taken');
  return result.findings.map(({ path: at, message }) => `${at}: ${message}`);
}
