/**
 * `audit`: a mail file held against the link policy of its tag, for a developer, and for an app's own tests: it ends with 1 when
 * the relay would refuse the mail, or when the policy only warns of what would be a breach.
 *
 * It needs the config file and nothing else: no running relay, no keys, no database. It reads the mail as the relay does at
 * acceptance. What it prints holds hosts and verdicts, never a path or a query.
 */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config, TagConfig } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { TAG_GRAMMAR } from '../core/message.ts';
import { chooseTag } from '../intake/tag.ts';
import { readRelayHeaders } from '../intake/relay-headers.ts';
import { parseFrom } from '../mail/from.ts';
import { type ParsedMessage, parseMessage } from '../mail/parse.ts';
import { auditMessage } from '../policy/audit-message.ts';
import { formatAudit } from '../policy/format-audit.ts';
import type { LinkAudit } from '../core/link-audit.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { loadSettings } from './settings.ts';

interface AuditOptions extends GlobalOptions {
  readonly tag?: string;
  readonly credential?: string;
}

/** What a tag without a link policy is held against, so that an audit always says something. */
const PLAIN_POLICY: NonNullable<TagConfig['links']> = { hosts: [], schemes: ['https'], action: 'warn' };

/** Adds `audit` to `program`. */
export function auditCommand(program: Command, io: CliIo): void {
  program
    .command('audit')
    .description('hold the links of a mail file against the link policy of its tag; ends with 1 on a breach')
    .argument('<file>', 'the mail (.eml)')
    .option('--tag <tag>', 'the tag whose policy counts (default: what headers and tag rules give the mail)')
    .option('--credential <username>', 'as if this credential had submitted it, for tag rules and aliases')
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<AuditOptions>();
      const config = loadSettings(io, options);
      const message = await readMessage(file);
      const tag = options.tag ?? tagOf(config, message, options);
      if (tag !== null && !TAG_GRAMMAR.test(tag)) throw usage(`${clean(tag)} is not a tag`);
      const tagConfig = tag === null ? undefined : config.tags.get(tag);
      const links = tagConfig?.links ?? null;
      const recovery = tagConfig?.recovery ?? false;
      const audit = auditMessage(message.bytes, { links: links ?? PLAIN_POLICY, recovery });
      if (audit === null) return;
      if (audit.findings.some(({ severity }) => severity === 'breach')) io.exit.code = 1;
      await io.stdout.write(
        wantsJson(io, options)
          ? `${jsonLine({ file, tag, policy: links === null ? null : `tags.${tag ?? ''}.links`, action: (links ?? PLAIN_POLICY).action, ...audit })}\n`
          : humanText(audit, tag, links !== null),
      );
    });
}

function humanText(audit: LinkAudit, tag: string | null, hasPolicy: boolean): string {
  const name = tag === null ? 'no tag' : `tag ${clean(tag)}`;
  const policy = hasPolicy
    ? `${name}, policy tags.${clean(tag ?? '')}.links`
    : `${name}, which has no link policy: the relay does not look at such mail. Held against: https, any public host.`;
  return `${policy}\n${formatAudit(audit)}`;
}

async function readMessage(file: string): Promise<ParsedMessage> {
  let text: string;
  try {
    text = await readFile(file, 'latin1');
  } catch (error) {
    throw usage(`cannot read ${file}: ${fileTrouble(error)}`);
  }
  const parsed = parseMessage(Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1'));
  if (parsed.kind === 'malformed') throw usage(`${file} is not a message that the relay takes: ${parsed.reason}`);
  return parsed;
}

function tagOf(config: Config, { bytes, fields }: ParsedMessage, options: AuditOptions): string | null {
  const credential = config.credentials.find(({ username }) => username === options.credential) ?? null;
  if (options.credential !== undefined && credential === null) {
    throw usage(`no credential ${JSON.stringify(options.credential)} in ${config.file}`);
  }
  const headers = readRelayHeaders(bytes, fields, credential);
  if (headers.kind === 'refused') throw usage(headers.text);
  const from = parseFrom(bytes, fields);
  return chooseTag(config, {
    bytes,
    fields,
    credential,
    from: from.kind === 'from' ? from.address : null,
    header: headers.wishes.tag,
    alias: headers.aliasTag,
  }).tag;
}

function usage(message: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.audit', hint: '' });
}
