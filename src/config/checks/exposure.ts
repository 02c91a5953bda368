/**
 * Checks of what others could get at: listeners and HTTP that other machines reach, passwords on the wire, files that
 * other users of this machine can read.
 *
 * An error where a secret would be given away or the relay stand open; a warning where it is merely unwise.
 */
import type { ConfigFiles } from '../files.ts';
import { type Path, quoted } from '../finding.ts';
import { isLoopback, parseHost } from '../network.ts';
import type { Source } from '../source.ts';
import type { Reader, Report } from './reader.ts';

export function checkExposure(reader: Reader, source: Source, files: ConfigFiles, report: Report): void {
  checkListeners(reader, report);
  checkHttp(reader, report);
  for (const route of reader.entries(['routes'])) {
    if (reader.text([...route, 'type']) === 'smtp') checkSmtpRoute(route, reader, report);
  }
  for (const webhook of reader.entries(['webhooks'])) checkWebhook(webhook, reader, report);
  checkFiles(reader, source, files, report);
}

function checkListeners(reader: Reader, report: Report): void {
  const hasCertificate = reader.has(['smtp', 'tls']);
  for (const listener of reader.entries(['smtp', 'listeners'])) {
    const host = reader.textOr([...listener, 'host'], '127.0.0.1');
    const tls = reader.textOr([...listener, 'tls'], 'starttls');
    if (host === null || tls === null || parseHost(host) === null || isLoopback(host)) continue;
    if (tls === 'none') {
      const message =
        'AUTH is off on this listener: other machines reach it, and without TLS a password would cross the network in clear';
      report.warning(
        [...listener, 'tls'],
        message,
        'write `tls: starttls`, unless only `trusted_networks` submit here',
      );
    } else if (!hasCertificate) {
      const message = 'this listener offers TLS to other machines, and there is no certificate';
      report.error(
        listener,
        message,
        'set `smtp.tls: { cert: FILE, key: FILE }`; the self-signed one is for loopback alone',
      );
    }
  }
}

function checkHttp(reader: Reader, report: Report): void {
  const host = reader.textOr(['http', 'host'], '127.0.0.1');
  if (host === null || parseHost(host) === null || isLoopback(host)) return;
  if (reader.isEmpty(['http', 'tokens'])) {
    const message = 'other machines would reach HTTP without a token';
    report.error(['http', 'host'], message, 'set `http.tokens`, or listen on 127.0.0.1');
  } else {
    const message = 'other machines reach HTTP, and it has no TLS: tokens cross the network in clear';
    report.warning(['http', 'host'], message, 'put a proxy with TLS in front, or keep it in a network of your own');
  }
}

function checkSmtpRoute(route: Path, reader: Reader, report: Report): void {
  const [hasUsername, hasPassword] = [reader.has([...route, 'username']), reader.has([...route, 'password'])];
  if (hasUsername && !hasPassword) {
    report.error(
      [...route, 'username'],
      'there is a username and no password',
      'set `password` too, or neither',
      'key',
    );
  }
  if (hasPassword && !hasUsername) {
    report.error(
      [...route, 'password'],
      'there is a password and no username',
      'set `username` too, or neither',
      'key',
    );
  }
  const host = reader.text([...route, 'host']);
  const tls = reader.text([...route, 'tls']);
  if (host === null || tls !== 'none' || isLoopback(host)) return;
  if (hasPassword) {
    const message = 'without TLS the password would cross the network in clear';
    report.error([...route, 'tls'], message, 'write `tls: required` or `tls: implicit`, or take the password out');
  } else {
    const message = 'mail crosses the network in clear, with every reset link in it';
    report.warning([...route, 'tls'], message, 'write `tls: required` or `tls: implicit` if the host can do it');
  }
}

/**
 * A warning, as for mail without TLS: containers of one machine often speak so. Nobody can forge or change an event on
 * the way, since it is signed, and no event holds a link or a code.
 */
function checkWebhook(webhook: Path, reader: Reader, report: Report): void {
  const url = URL.parse(reader.text([...webhook, 'url']) ?? '');
  if (url?.protocol !== 'http:' || isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) return;
  const message = 'events cross the network in clear, with recipients and metadata in them';
  report.warning([...webhook, 'url'], message, 'write `https://`, unless the network is your own');
}

function checkFiles(reader: Reader, source: Source, files: ConfigFiles, report: Report): void {
  const secrets: { readonly at: Path; readonly file: string; readonly what: string }[] = source.secretFiles.map(
    ({ at, file }) => ({ at, file, what: `the secret file ${quoted(file)}` }),
  );
  const keys = [['smtp', 'tls', 'key'], ...reader.entries(['senders']).flatMap((sender) => keysOf(sender, reader))];
  for (const at of keys) {
    const file = reader.text(at);
    if (file !== null) secrets.push({ at, file, what: `the private key ${quoted(source.written(at) ?? '')}` });
  }
  for (const { at, file, what } of secrets) {
    if (!files.isOpenToOthers(file)) continue;
    report.warning(
      at,
      `${what} can be read or written by other users of this machine`,
      'take their rights away: chmod 600',
    );
  }
  const written = [
    ...reader.entries(['routes']).map((route) => ({ at: [...route, 'password'], what: 'password' })),
    ...reader
      .entries(['webhooks'])
      .flatMap((webhook) => reader.texts([...webhook, 'secret']).map(({ path }) => ({ at: path, what: 'secret' }))),
  ].find(({ at }) => reader.text(at) !== null && !source.isSubstituted(at));
  if (written !== undefined && files.isOpenToOthers(source.file)) {
    const message = `the ${written.what} is written in this file, and other users of this machine can read or write it`;
    report.warning(written.at, message, 'write "${NAME}" or "${file:PATH}" instead, or chmod 600 this file');
  }
}

function keysOf(sender: Path, reader: Reader): readonly Path[] {
  return reader.entries([...sender, 'dkim']).map((key) => [...key, 'key']);
}
