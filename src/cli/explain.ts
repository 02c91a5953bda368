/**
 * `explain`: a dry run of the rules. Which tag, lane, deadline, sender check, rule and route a mail would get, and why.
 *
 * It decides with the same code as the running relay, from the config file; nothing is stored, signed or sent.
 */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Plain } from '../api/wire/json.ts';
import type { Config } from '../config/types.ts';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../core/address.ts';
import { RelayError } from '../core/errors.ts';
import { type ExplainedRecipient, explain, type Explanation } from '../intake/explain.ts';
import { parseFrom } from '../mail/from.ts';
import { parseMessage } from '../mail/parse.ts';
import { formatAudit } from '../policy/format-audit.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { span } from '../api/story/format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint, type Paint } from './paint.ts';
import type { RemoteClient } from './remote/client.ts';
import { explainRemotely } from './remote/explain-remote.ts';
import { openRemote } from './remote/open.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { loadSettings } from './settings.ts';

const DEFAULT_TO = 'ann@example.net';

interface ExplainOptions extends GlobalOptions {
  readonly from?: string;
  readonly to?: readonly string[];
  readonly sender?: string;
  readonly tag?: string;
  readonly header?: readonly string[];
  readonly credential?: string;
}

/** Adds `explain` to `program`. */
export function explainCommand(program: Command, io: CliIo): void {
  program
    .command('explain')
    .description('say which tag, rule and route a mail would get, and why, without sending it')
    .argument('[file]', 'a message to explain (.eml); without it one is made from the options')
    .option('--from <address>', 'From address (default: that of the file, else no-reply@ the first sender domain)')
    .option('--to <address>', `recipient; may be repeated (default: ${DEFAULT_TO})`, collect)
    .option('--sender <address>', 'envelope sender (default: the From address)')
    .option('--tag <tag>', 'as with X-Leadpush-Tag')
    .option('--header <line>', 'a header line, such as "X-Leadpush-TTL: 15m"; may be repeated', collect)
    .option('--credential <username>', 'as if this credential had logged in (default: a trusted client without one)')
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ExplainOptions>();
      const remote = await openRemote(io, options);
      const explanation =
        remote === null ? await explainHere(io, file, options) : await explainThere(remote.client, file, options);
      if (explanation.verdict === 'refuse') io.exit.code = 1;
      const isChosen = options.from !== undefined || file !== undefined;
      await io.stdout.write(
        wantsJson(io, options)
          ? `${jsonLine(explanation)}\n`
          : humanText(explanation, createPaint(io.stdout.hasColor), isChosen),
      );
    });
}

async function explainHere(io: CliIo, file: string | undefined, options: ExplainOptions): Promise<Plain<Explanation>> {
  const config = loadSettings(io, options);
  return explainMail(config, await mailBytes(config, file, options), options, io);
}

async function explainThere(
  client: RemoteClient,
  file: string | undefined,
  { from, to, sender, tag, header = [], credential }: ExplainOptions,
): Promise<Plain<Explanation>> {
  if (file !== undefined)
    throw usage(
      'a relay elsewhere is not given a file: use --from, --to, --tag and --header, or --config for this machine',
    );
  if (sender !== undefined) throw usage('--sender is for the config of this machine');
  const headers = header.map((line): readonly [string, string] => {
    const [, name, value] = /^([!-9;-~]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw usage(`${JSON.stringify(line)} is not "Name: value"`);
    return [name, value];
  });
  return explainRemotely(client, {
    from: from ?? null,
    to: to ?? [DEFAULT_TO],
    credential: credential ?? null,
    headers: tag === undefined ? headers : [...headers, ['X-Leadpush-Tag', tag]],
  });
}

/** Commander's way to gather a repeated option. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function mailBytes(config: Config, file: string | undefined, options: ExplainOptions): Promise<Uint8Array> {
  const extra = [...(options.header ?? []), ...(options.tag === undefined ? [] : [`X-Leadpush-Tag: ${options.tag}`])];
  if (file === undefined) {
    const from = options.from ?? `no-reply@${config.senders[0]?.domain ?? 'example.com'}`;
    return Buffer.from(`${[`From: ${from}`, ...extra].join('\r\n')}\r\n\r\n`);
  }
  try {
    const text = (await readFile(file, 'latin1')).replace(/\r?\n/g, '\r\n');
    const lines = extra.map((line) => `${line}\r\n`).join('');
    return Buffer.concat([Buffer.from(lines), Buffer.from(withFrom(text, options.from), 'latin1')]);
  } catch (error) {
    throw usage(`cannot read ${file}: ${fileTrouble(error)}`);
  }
}

/** `text`, octet by octet, with its From fields replaced by one with `from`. */
function withFrom(text: string, from: string | undefined): string {
  if (from === undefined) return text;
  const end = text.indexOf('\r\n\r\n');
  const header = end === -1 ? text : text.slice(0, end + 2);
  const others = header.replace(/^from[ \t]*:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*/gim, '');
  return `From: ${Buffer.from(from).toString('latin1')}\r\n${others}${text.slice(header.length)}`;
}

function explainMail(config: Config, bytes: Uint8Array, options: ExplainOptions, io: CliIo): Explanation {
  const parsed = parseMessage(bytes);
  if (parsed.kind === 'malformed') throw usage(`not a message the relay takes: ${parsed.reason}`);
  const from = parseFrom(parsed.bytes, parsed.fields);
  const credential = config.credentials.find((candidate) => candidate.username === options.credential) ?? null;
  if (options.credential !== undefined && credential === null) {
    const known = config.credentials.map(({ username }) => username);
    throw usage(
      `no credential ${JSON.stringify(options.credential)} in ${config.file}`,
      known.length === 0 ? 'The config has no credentials.' : `Known: ${known.join(', ')}.`,
    );
  }
  const sender = options.sender ?? (from.kind === 'from' ? from.address : '');
  return explain(config, {
    submitter: { credential, address: '127.0.0.1', helo: 'explain', tls: null, protocol: 'ESMTP' },
    envelope: {
      mailFrom: sender === '' ? '' : envelopeAddress(sender),
      recipients: (options.to ?? [DEFAULT_TO]).map((to) => ({ address: envelopeAddress(to), dsn: null })),
      dsn: { ret: null, envid: null },
      smtpUtf8: true,
      deliverBySeconds: null,
    },
    bytes: parsed.bytes,
    fields: parsed.fields,
    now: io.clock.now(),
    isOwnReport: false,
  });
}

function envelopeAddress(text: string): EnvelopeAddress {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  if (parsed.kind === 'malformed') throw usage(`${text}: ${parsed.reason}`);
  return parsed.address;
}

const OTHER_FROM = '--from ADDRESS asks about mail from another address.';

/** `isChosen`: its From address was given, not made up here. */
function humanText(explanation: Plain<Explanation>, paint: Paint, isChosen: boolean): string {
  if (explanation.verdict === 'refuse') {
    const audit = explanation.links === null ? '' : `\n${formatAudit(explanation.links)}`;
    const reply = explanation.reply ?? '';
    const other = isChosen || !reply.startsWith('550 5.7.1 ') ? '' : `  ${OTHER_FROM}\n`;
    return `${paint.red('refused')}  ${clean(reply)}\n  because ${clean(explanation.reason ?? '')}\n${other}${audit}`;
  }
  const lines = [
    `${paint.green('accepted')}`,
    `  tag       ${tagText(explanation)}`,
    ...rulesText(explanation),
    `  lane      ${explanation.priority}`,
    `  deadline  ${explanation.deadline} (${DEADLINE_WORDS[explanation.deadline_source ?? ''] ?? ''})`,
    `  from      ${clean(explanation.from ?? '')}${explanation.from_rewritten ? ` (put in by tags.${clean(explanation.tag ?? '')}.from)` : ''}`,
    `  signed    ${explanation.signed_by === null ? 'no: the From domain has no DKIM key' : `as ${explanation.signed_by}`}`,
    `  replaces  ${replacesText(explanation)}`,
    ...throttleLines(explanation),
    `  links     ${linksText(explanation)}`,
    `  suppress  ${explanation.suppression === 'bypass' ? 'no: sent to suppressed recipients too' : 'yes: nothing is sent to a suppressed recipient'}`,
    ...(explanation.delayed_after_ms === null
      ? []
      : [`  delayed   message.delayed when it has not gone after ${span(explanation.delayed_after_ms)}`]),
    `  returns   ${explanation.return_path === null ? 'to the envelope sender as it came' : `to an address of its own at ${explanation.return_path}`}`,
    ...explanation.warnings.map((warning) => `  ${paint.yellow('warning')}   ${clean(warning)}`),
    ...explanation.recipients.flatMap((recipient) => recipientLines(recipient, paint)),
  ];
  return `${lines.join('\n')}\n`;
}

function replacesText({ collapse, collapse_key, tag }: Plain<Explanation>): string {
  const scope = 'older undelivered mail of the same credential to the same recipient';
  if (collapse === 'key') return `${scope} with the key ${clean(collapse_key ?? '')}`;
  return collapse === 'tag' ? `${scope} with the tag ${clean(tag ?? '')}` : 'nothing';
}

function tagText({ tag, tag_source, tag_rules }: Plain<Explanation>): string {
  if (tag === null) return 'none';
  const rule = tag_source === 'rule' ? ` ${tag_rules[0]?.rule ?? ''}` : '';
  return `${clean(tag)} (from: ${tag_source}${rule})`;
}

/** Tag rules that match and did not count. */
function rulesText({ tag_source, tag_rules }: Plain<Explanation>): readonly string[] {
  const others = tag_source === 'rule' ? tag_rules.slice(1) : tag_rules;
  if (others.length === 0) return [];
  return [`            also matches, and does not count: ${others.map(({ rule }) => clean(rule)).join(', ')}`];
}

function throttleLines({ throttles }: Plain<Explanation>): readonly string[] {
  if (throttles.length === 0) return ['  throttle  none'];
  return throttles.map(({ scope, per, count, per_ms }) => {
    const [kind = '', ...name] = scope.split(':');
    const whose =
      kind === 'tag' ? `with the tag ${clean(name.join(':'))}` : `of the credential ${clean(name.join(':'))}`;
    return `  throttle  at most ${count} ${whose} ${per === 'recipient' ? 'to a recipient ' : ''}in ${span(per_ms)}`;
  });
}

function linksText({ links }: Plain<Explanation>): string {
  if (links === null) return 'not looked at: the tag has no link policy';
  const codes = [...new Set(links.findings.map(({ code }) => code))];
  return `${links.verdict}${codes.length === 0 ? '' : `: ${codes.join(', ')} (leadpush-relay audit FILE tells more)`}`;
}

const DEADLINE_WORDS: Readonly<Record<string, string>> = {
  header: 'X-Leadpush-TTL',
  deliverby: 'BY= on MAIL',
  tag: 'ttl of the tag',
  'give-up': 'retry.give_up_after',
};

function recipientLines(recipient: Plain<ExplainedRecipient>, paint: Paint): readonly string[] {
  return [
    '',
    `${paint.bold(clean(recipient.recipient))} goes by rule ${paint.bold(recipient.rule)} to route ${paint.bold(recipient.route)}`,
    ...(recipient.via.length > 1
      ? [`  when it is down or fails, on at once to: ${recipient.via.slice(1).join(', then ')}`]
      : []),
    ...(recipient.left_out.length > 0
      ? [`  not used, for want of verified TLS: ${recipient.left_out.join(', ')}`]
      : []),
    ...recipient.considered.map(
      (verdict) =>
        `  ${verdict.matches ? paint.green('yes') : paint.dim('no ')}  ${verdict.rule}: ${clean(verdict.reason)}`,
    ),
  ];
}

function usage(message: string, hint = ''): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.explain', hint });
}
