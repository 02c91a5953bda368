/**
 * config/README.md, made from the schema: every key with type, default, meaning and example.
 *
 * Printed by `node src/config/reference.ts`; a test compares it with the file. A key without documentation is a bug and
 * throws.
 */
import { z } from 'zod';
import { createConfigFiles } from './files.ts';
import { NOT_AVAILABLE } from './not-available.ts';
import { PRESETS } from './presets.ts';
import { NOT_AVAILABLE_TEXT, OPENING, TAGS_TEXT } from './reference-text.ts';
import { createKit, type Kit } from './schema/kit.ts';
import { configSchema } from './schema/root.ts';
import { durationText } from './units.ts';

interface Row {
  readonly path: string;
  readonly cells: readonly string[];
}

/** The text of config/README.md. */
export function renderReference(): string {
  // Neither the folder nor the machine's name shows: defaults are documented as they are written.
  const kit = createKit(createConfigFiles('config.yaml'), 'localhost');
  const rows = documentedKeys(configSchema(kit), '', kit);
  const tops = rows.filter(({ path }) => /^[a-z_]+$/.test(path));
  const single = tops.filter((top) => !rows.some((row) => isBelow(row, top)));
  const tables = [
    `### Single values\n\n${table(single)}`,
    ...tops
      .filter((top) => !single.includes(top))
      .map((top) => `### \`${top.path}\`\n\n${table([top, ...rows.filter((row) => isBelow(row, top))])}`),
  ];
  const notYet = NOT_AVAILABLE.map(({ shown, what }) => `- \`${shown}\`: ${what} not available yet`).join('\n');
  return `${[OPENING, ...tables, TAGS_TEXT.replace('PRESETS', presetTable()), NOT_AVAILABLE_TEXT, notYet].join('\n\n')}\n`;
}

function presetTable(): string {
  const lines = Object.values(PRESETS).map(({ name, meaning, ttlMs, collapse, throttle, suppression }) => {
    const rate =
      throttle === null ? 'none' : `${throttle.perRecipient.count}/${durationText(throttle.perRecipient.perMs)}`;
    const cells = [`\`${name}\``, ttlMs === null ? 'none' : durationText(ttlMs), collapse, rate, suppression, meaning];
    return `| ${cells.join(' | ')} |`;
  });
  const head =
    '| preset | `ttl` | `collapse` | `throttle.per_recipient` | `suppression` | for |\n|---|---|---|---|---|---|';
  return [head, ...lines].join('\n');
}

function isBelow(row: Row, top: Row): boolean {
  return row.path.startsWith(top.path) && /^[.[]/.test(row.path.slice(top.path.length));
}

/** The keys below `schema` in the order of the schema. */
function documentedKeys(schema: z.core.$ZodType, path: string, kit: Kit): readonly Row[] {
  if (schema instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
    return Object.entries(shape).flatMap(([key, value]) => {
      const keyPath = path === '' ? key : `${path}.${key}`;
      return [documented(value, keyPath, kit), ...documentedKeys(value, keyPath, kit)];
    });
  }
  if (schema instanceof z.ZodArray) return documentedKeys(schema.def.element, `${path}[]`, kit);
  if (schema instanceof z.ZodRecord) return documentedKeys(schema.def.valueType, `${path}.*`, kit);
  if (schema instanceof z.ZodDiscriminatedUnion) {
    return schema.def.options.flatMap((option) => documentedKeys(option, path, kit));
  }
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return documentedKeys(schema.def.innerType, path, kit);
  }
  // A step before the schema proper (`none`, a text for a mapping) has no keys; one after it neither.
  if (schema instanceof z.ZodPipe) {
    return documentedKeys(schema.def.in instanceof z.ZodTransform ? schema.def.out : schema.def.in, path, kit);
  }
  return [];
}

function documented(schema: z.core.$ZodType, path: string, kit: Kit): Row {
  const doc = kit.docs.get(schema);
  if (doc === undefined) throw new Error(`the config key ${path} has no documentation`);
  return { path, cells: [`\`${path}\``, doc.type, doc.fallback, doc.meaning, `\`${doc.example}\``] };
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ cells }) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  return ['| key | type | default | meaning | example |', '|---|---|---|---|---|', ...lines].join('\n');
}

if (import.meta.main) process.stdout.write(renderReference());
