/**
 * From a YAML file to a `Config`, or to everything that is wrong with the file.
 *
 * read -> parse (source) -> take out what is not available -> schema, checks -> findings in the order of the file
 *
 * All errors are told at once. Nothing is written and nothing but the config, its secret files and certificate authorities
 * is read; keys are read by those who use them. A secret's value never appears in a finding.
 */
import { resolve } from 'node:path';
import { checkBounces } from './checks/bounces.ts';
import { checkDirectRoutes } from './checks/direct.ts';
import { checkExposure } from './checks/exposure.ts';
import { checkNames } from './checks/names.ts';
import { createReader, createReport } from './checks/reader.ts';
import { checkSense } from './checks/sense.ts';
import { createConfigFiles } from './files.ts';
import { type Finding, inFileOrder } from './finding.ts';
import { issueFindings } from './issues.ts';
import { takeOutUnavailable } from './not-available.ts';
import { createKit } from './schema/kit.ts';
import { configSchema, machineName } from './schema/root.ts';
import { parseSource } from './source.ts';
import type { Config } from './types.ts';

export type ConfigResult =
  | { readonly kind: 'config'; readonly config: Config; readonly warnings: readonly Finding[] }
  | { readonly kind: 'invalid'; readonly findings: readonly Finding[] };

const MAX_CONFIG_BYTES = 1024 * 1024;
/** More than anybody mends in one go; a file that is no config at all would fill the log. */
const MAX_FINDINGS = 200;

/**
 * Reads and validates the config in `file`, with `env` for its `${NAME}`. What is wrong comes back as findings in the
 * order of the file; it never throws for what is in the file or for a file that cannot be read.
 */
export function loadConfig(file: string, env: NodeJS.ProcessEnv): ConfigResult {
  const absolute = resolve(file);
  const files = createConfigFiles(absolute);
  const read = files.read(absolute, MAX_CONFIG_BYTES);
  if (read.kind === 'unreadable') {
    const message = `the config file cannot be read: ${read.reason}`;
    const hint = 'name it with --config FILE or in LEADPUSH_CONFIG; it is UTF-8 text of at most 1 MB';
    return { kind: 'invalid', findings: [{ file, line: 1, column: 1, path: '', message, hint }] };
  }
  const source = parseSource({ file, text: read.text, env, files });
  // With broken syntax or a bomb there is no telling what the rest was meant to be.
  if (source.data === undefined) return invalid(source.findings);

  const available = takeOutUnavailable(source);
  const parsed = configSchema(createKit(files, machineName())).safeParse(available.data ?? {});
  const issues = parsed.success ? [] : issueFindings(parsed.error.issues, source);
  const report = createReport(source);
  const reader = createReader(source);
  if (reader.isMapping([]) || source.data === null) {
    checkNames(reader, source, report);
    checkExposure(reader, source, files, report);
    checkDirectRoutes(reader, report);
    checkBounces(reader, source, report);
    checkSense(reader, source, report);
  }

  const findings = [...source.findings, ...available.findings, ...issues, ...report.errors];
  if (findings.length === 0 && parsed.success) {
    return { kind: 'config', config: { file: absolute, ...parsed.data }, warnings: inFileOrder(report.warnings) };
  }
  return invalid(findings);
}

function invalid(all: readonly Finding[]): ConfigResult {
  const ordered = inFileOrder(all);
  const findings = ordered.slice(0, MAX_FINDINGS);
  const last = ordered[MAX_FINDINGS];
  if (last === undefined) return { kind: 'invalid', findings };
  const more = {
    ...last,
    path: '',
    message: `${all.length - MAX_FINDINGS} more findings`,
    hint: 'mend the ones above first',
  };
  return { kind: 'invalid', findings: [...findings, more] };
}
