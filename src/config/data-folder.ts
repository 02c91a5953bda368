/**
 * The data folder that a config file names, for commands that only look at what is in it.
 *
 * Nothing else of the file has to be right: it may be half edited, and secrets that only the service has may be missing. The
 * syntax must hold, and `data` itself, with the `${...}` in it.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { createConfigFiles } from './files.ts';
import type { Finding } from './finding.ts';
import { issueFindings } from './issues.ts';
import { path } from './schema/scalars.ts';
import { parseSource } from './source.ts';

export type DataFolderResult =
  /** An absolute path. */
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'invalid'; readonly findings: readonly Finding[] };

const DEFAULT_FOLDER = './data';
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Reads `data` from the config in `file`; what stands in the way of that comes back as findings. */
export function readDataFolder(file: string, env: NodeJS.ProcessEnv): DataFolderResult {
  const absolute = resolve(file);
  const files = createConfigFiles(absolute);
  const read = files.read(absolute, MAX_CONFIG_BYTES);
  if (read.kind === 'unreadable') {
    const message = `the config file cannot be read: ${read.reason}`;
    return { kind: 'invalid', findings: [{ file, line: 1, column: 1, path: '', message, hint: '' }] };
  }
  const source = parseSource({ file, text: read.text, env, files });
  if (source.data === undefined) return { kind: 'invalid', findings: source.findings };
  const about = source.findings.filter((finding) => finding.path === 'data');
  if (about.length > 0) return { kind: 'invalid', findings: about };

  const schema = z.object({ data: path(files).prefault(DEFAULT_FOLDER) });
  const parsed = schema.safeParse(source.data ?? {});
  if (parsed.success) return { kind: 'folder', folder: parsed.data.data };
  return { kind: 'invalid', findings: issueFindings(parsed.error.issues, source) };
}
