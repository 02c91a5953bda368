/** Warnings about a config that is valid and yet hardly what was meant: mail that nobody can send, or that all is refused. */
import { type Path, quoted } from '../finding.ts';
import { nearMatch } from '../near-match.ts';
import { parseDomain } from '../network.ts';
import type { Source } from '../source.ts';
import { parseDuration } from '../units.ts';
import type { Reader, Report } from './reader.ts';

export function checkSense(reader: Reader, source: Source, report: Report): void {
  checkCoverage(reader, source, report);
  checkSandboxInVia(reader, report);
  checkTags(reader, report);
  checkSubmitters(reader, report);
  checkSenders(reader, source, report);
}

function checkCoverage(reader: Reader, source: Source, report: Report): void {
  const rules = reader.entries(['rules']);
  const last = rules.at(-1);
  if (last === undefined) return;
  const catchAll = rules.findIndex((rule) => reader.isEmpty([...rule, 'when']));
  if (catchAll === -1) {
    const names = rules.map((rule) => quoted(source.written([...rule, 'name']) ?? '?')).join(', ');
    const message = `no rule matches everything: mail that fits none of ${names} is refused`;
    report.warning(last, message, 'end with a rule without `when`: `{ name: default, via: [...] }`');
  }
  for (const rule of catchAll === -1 ? [] : rules.slice(catchAll + 1)) {
    const before = source.written([...(rules[catchAll] ?? []), 'name']) ?? '?';
    report.warning(rule, `this rule is never asked: ${quoted(before)} before it matches everything`, 'move it up');
  }
}

/** A sandbox beside real routes takes for good what should have been sent later, and says `delivered`. */
function checkSandboxInVia(reader: Reader, report: Report): void {
  for (const rule of reader.entries(['rules'])) {
    const via = reader.texts([...rule, 'via']);
    const sandbox = via.find(({ text }) => reader.text(['routes', text, 'type']) === 'sandbox');
    if (sandbox === undefined || via.length < 2) continue;
    const message =
      'a sandbox among other routes takes mail and delivers none: what fails over to it is captured for good';
    report.warning(sandbox.path, message, 'give the sandbox a rule of its own');
  }
}

function checkTags(reader: Reader, report: Report): void {
  for (const tag of reader.entries(['tags'])) {
    const delayedMs = parseDuration(reader.text([...tag, 'delayed_after']) ?? '');
    const ttlMs = parseDuration(reader.text([...tag, 'ttl']) ?? '');
    if (delayedMs === null || ttlMs === null || delayedMs < ttlMs) continue;
    const message = 'such mail is never called delayed: its `ttl` is over by then';
    report.warning([...tag, 'delayed_after'], message, 'write a shorter duration than `ttl`');
  }
}

function checkSubmitters(reader: Reader, report: Report): void {
  if (!reader.isEmpty(['credentials']) || !reader.isEmpty(['smtp', 'trusted_networks'])) return;
  const message = 'nobody can submit mail: there are no credentials and no trusted networks';
  report.warning(['credentials'], message, 'add a credential, or set `smtp.trusted_networks`', 'key');
}

function checkSenders(reader: Reader, source: Source, report: Report): void {
  const senders = reader.entries(['senders']);
  for (const sender of senders) {
    if (!reader.isEmpty([...sender, 'dkim'])) continue;
    const written = quoted(source.written([...sender, 'domain']) ?? '');
    report.warning(sender, `mail from ${written} goes out unsigned`, 'give the sender a DKIM key');
  }
  if (reader.textOr(['unknown_senders'], 'reject') !== 'reject') return;
  if (senders.length === 0) {
    const message = 'every message is refused: there are no senders, and unknown senders are rejected';
    report.warning(['senders'], message, 'add a sender, or write `unknown_senders: unsigned`', 'key');
    return;
  }
  const domains = senders.flatMap((sender) => domainOf([...sender, 'domain'], reader) ?? []);
  for (const tag of reader.entries(['tags'])) {
    const address = reader.text([...tag, 'from', 'address']);
    const domain = parseDomain(/@([^@<>]+)>?\s*$/.exec(address ?? '')?.[1] ?? '');
    if (domain === null || domains.includes(domain)) continue;
    const message = 'mail with this tag is refused: the domain of its sender is not in `senders`';
    report.warning([...tag, 'from', 'address'], message, 'add the domain to `senders`');
  }
  for (const credential of reader.entries(['credentials'])) {
    for (const { path, text } of reader.texts([...credential, 'from'])) {
      const domain = parseDomain(text.slice(text.lastIndexOf('@') + 1));
      if (!text.includes('@') || domain === null || domains.includes(domain)) continue;
      const near = source.isSubstituted(path) ? null : nearMatch(domain, writtenDomains(senders, reader, source));
      const hint = near === null ? 'add the domain to `senders`' : `did you mean \`${near}\`?`;
      report.warning(
        path,
        `mail from ${quoted(source.written(path) ?? '')} is refused: its domain is not in \`senders\``,
        hint,
      );
    }
  }
}

function writtenDomains(senders: readonly Path[], reader: Reader, source: Source): readonly string[] {
  const paths = senders.map((sender) => [...sender, 'domain']).filter((path) => !source.isSubstituted(path));
  return paths.flatMap((path) => domainOf(path, reader) ?? []);
}

function domainOf(path: Path, reader: Reader): string | null {
  const text = reader.text(path);
  return text === null ? null : parseDomain(text);
}
