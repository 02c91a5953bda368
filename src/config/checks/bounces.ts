/** Checks of what comes back: return paths and the listeners that read them belong together. */
import { quoted } from '../finding.ts';
import { isLoopback, parseDomain, parseHost } from '../network.ts';
import type { Source } from '../source.ts';
import type { Reader, Report } from './reader.ts';

export function checkBounces(reader: Reader, source: Source, report: Report): void {
  const senders = reader.entries(['senders']);
  const returnPaths = senders.map((sender) => [...sender, 'return_path']).filter((path) => reader.has(path));
  const listeners = reader.entries(['bounces', 'listeners']);
  const domains = new Set(senders.flatMap((sender) => parseDomain(reader.text([...sender, 'domain']) ?? '') ?? []));
  for (const path of returnPaths) {
    const domain = parseDomain(reader.text(path) ?? '');
    if (listeners.length === 0 && domain !== null) {
      const message = 'nobody reads the reports that come to this return path: there is no `bounces.listeners`';
      report.warning(path, message, 'add a listener, and an MX record that leads to it');
    }
    if (domain !== null && domains.has(domain)) {
      const message = `${quoted(source.written(path) ?? '')} is a sender domain too: its MX record must lead here, and people could not answer`;
      report.warning(path, message, 'use a domain below it, such as `bounces.example.com`');
    }
  }
  if (listeners.length > 0 && returnPaths.length === 0) {
    const message = 'no mail comes back to these listeners: no sender has a `return_path`';
    report.warning(['bounces', 'listeners'], message, 'set `senders[].return_path`, or take the listeners out', 'key');
  }
  const hasCertificate = reader.has(['smtp', 'tls']);
  for (const listener of listeners) {
    const host = reader.textOr([...listener, 'host'], '127.0.0.1');
    const tls = reader.textOr([...listener, 'tls'], 'starttls');
    if (host === null || tls === null || parseHost(host) === null) continue;
    if (tls !== 'none' && !hasCertificate && !isLoopback(host)) {
      const message = 'this listener offers TLS to other machines, and there is no certificate';
      const hint = 'set `smtp.tls: { cert: FILE, key: FILE }`; the self-signed one is for loopback alone';
      report.error(listener, message, hint);
    }
    if (tls === 'implicit' || tls === 'starttls-required') {
      const message = 'servers that send reports try plain SMTP and perhaps STARTTLS: some or all would be turned away';
      report.warning([...listener, 'tls'], message, 'write `tls: starttls`');
    }
  }
}
