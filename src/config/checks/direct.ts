/** Checks of routes that deliver to MX hosts: what DNS must be for them, and where they connect from and to. */
import { isIP } from 'node:net';
import type { Path } from '../finding.ts';
import { isLoopback, parseServer } from '../network.ts';
import type { Reader, Report } from './reader.ts';

export function checkDirectRoutes(reader: Reader, report: Report): void {
  for (const route of reader.entries(['routes'])) {
    if (reader.text([...route, 'type']) !== 'mx') continue;
    checkDane(route, reader, report);
    checkSourceAddresses(route, reader, report);
    checkPrivateTargets(route, reader, report);
    checkEhlo(route, reader, report);
  }
}

/** RFC 7672, section 2.2: only a resolver that validates, over a way that can be trusted, makes TLSA records worth anything. */
function checkDane(route: Path, reader: Reader, report: Report): void {
  if (!reader.isTrue([...route, 'dane'])) return;
  if (!reader.has([...route, 'dns'])) {
    const message = "DANE needs DNS servers that validate DNSSEC, and the system's need not";
    report.error([...route, 'dane'], message, 'set `dns` to a validating server, best on this machine: `127.0.0.1:53`');
    return;
  }
  for (const { path, text } of reader.texts([...route, 'dns'])) {
    const server = parseServer(text, 53);
    if (server === null || isLoopback(server.address)) continue;
    const message = 'whoever can change answers on the way from this server can switch DANE off';
    report.warning(path, message, 'use a validating server on this machine, or a tunnel to one that ends here');
  }
}

function checkSourceAddresses(route: Path, reader: Reader, report: Report): void {
  const families = new Set<number>();
  for (const { path, text } of reader.texts([...route, 'source_ip'])) {
    const family = isIP(text);
    if (family === 0) continue;
    if (families.has(family)) {
      report.error(path, `there is an IPv${family} address already`, 'give one IPv4 and one IPv6 address at most');
    }
    families.add(family);
  }
}

function checkPrivateTargets(route: Path, reader: Reader, report: Report): void {
  // With DNS servers of their own, people have a zone of their own in mind.
  if (!reader.isTrue([...route, 'allow_private']) || reader.has([...route, 'dns'])) return;
  const message =
    'whoever controls the DNS of a recipient domain can make the relay connect to machines of your network';
  const hint = 'take it out, or set `dns` to servers of your own; a named inner host is better as a route of type smtp';
  report.warning([...route, 'allow_private'], message, hint);
}

function checkEhlo(route: Path, reader: Reader, report: Report): void {
  if (reader.has(['hostname']) || reader.has([...route, 'ehlo'])) return;
  const message = "MX hosts see this machine's own name in EHLO, and many refuse one that DNS does not know";
  report.warning(route, message, 'set `hostname` to the name in the PTR record of your address');
}
