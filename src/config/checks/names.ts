/** Checks of names: none twice, none that leads nowhere, and at least one route and one rule. */
import { type Path, quoted } from '../finding.ts';
import { didYouMean } from '../near-match.ts';
import { parseDomain } from '../network.ts';
import type { Source } from '../source.ts';
import { TOKEN_PREFIX } from '../types.ts';
import type { Reader, Report } from './reader.ts';

export function checkNames(reader: Reader, source: Source, report: Report): void {
  const distinct = createDistinct(reader, source, report);
  distinct(reader.entries(['credentials']), 'username', 'credential');
  distinct(reader.entries(['http', 'tokens']), 'name', 'token');
  distinct(reader.entries(['rules']), 'name', 'rule');
  distinct(reader.entries(['webhooks']), 'name', 'webhook');
  distinct(reader.entries(['senders']), 'domain', 'sender', (domain) => parseDomain(domain) ?? domain);
  for (const sender of reader.entries(['senders'])) {
    distinct(reader.entries([...sender, 'dkim']), 'selector', 'key of this sender', (selector) =>
      selector.toLowerCase(),
    );
  }
  checkListeners(reader, report);
  checkTokens(reader, source, report);
  checkRules(reader, source, report);
}

/** A token's mail bears a credential's name, or one that no credential may have. */
function checkTokens(reader: Reader, source: Source, report: Report): void {
  const usernames = usernamesOf(reader);
  for (const token of reader.entries(['http', 'tokens'])) {
    const path = [...token, 'credential'];
    const username = reader.text(path);
    if (username === null || usernames.includes(username)) continue;
    const written = source.written(path) ?? '';
    const otherwise = 'write the username of one of `credentials`, or leave it out';
    report.error(path, `${quoted(written)} is not a credential`, didYouMean(written, usernames, otherwise));
  }
  for (const credential of reader.entries(['credentials'])) {
    const path = [...credential, 'username'];
    if (reader.text(path)?.startsWith(TOKEN_PREFIX) !== true) continue;
    const shown = quoted(source.written(path) ?? '');
    report.error(path, `${shown} reads as the name of a token of the API`, `do not begin it with \`${TOKEN_PREFIX}\``);
  }
}

function usernamesOf(reader: Reader): readonly string[] {
  return reader.entries(['credentials']).flatMap((path) => reader.text([...path, 'username']) ?? []);
}

type CheckDistinct = (items: readonly Path[], key: string, what: string, normal?: (text: string) => string) => void;

function createDistinct(reader: Reader, source: Source, report: Report): CheckDistinct {
  return (items, key, what, normal = (text) => text) => {
    const seen = new Set<string>();
    for (const item of items) {
      const text = reader.text([...item, key]);
      if (text === null) continue;
      const name = normal(text);
      if (seen.has(name)) {
        const shown = quoted(source.written([...item, key]) ?? '');
        report.error(
          [...item, key],
          `${shown} is the ${key} of another ${what} already`,
          `give each ${what} a ${key} of its own`,
        );
      }
      seen.add(name);
    }
  };
}

function checkListeners(reader: Reader, report: Report): void {
  const listeners = [
    ...reader.entries(['smtp', 'listeners']).map((path) => ({ path, defaultPort: 2525 })),
    ...reader.entries(['bounces', 'listeners']).map((path) => ({ path, defaultPort: 25 })),
  ];
  const seen = new Set<string>(reader.has(['smtp', 'listeners']) ? [] : ['127.0.0.1 2525']);
  for (const { path: listener, defaultPort } of listeners) {
    const host = reader.textOr([...listener, 'host'], '127.0.0.1');
    const port = reader.number([...listener, 'port'], defaultPort);
    if (host === null || port === null || port === 0) continue;
    const address = `${host.toLowerCase()} ${port}`;
    if (seen.has(address)) {
      const message = 'another listener has this host and port already';
      report.error(listener, message, 'take one of the two out, or give it another port');
    }
    seen.add(address);
  }
}

function checkRules(reader: Reader, source: Source, report: Report): void {
  const routes = reader.entries(['routes']).map((path) => String(path.at(-1)));
  const usernames = [
    ...usernamesOf(reader),
    ...reader
      .entries(['http', 'tokens'])
      .filter((path) => !reader.has([...path, 'credential']))
      .flatMap((path) => reader.text([...path, 'name']) ?? [])
      .map((name) => `${TOKEN_PREFIX}${name}`),
  ];
  // A username may come from `${NAME}`: near matches are looked for among those that are written in the file.
  const writtenUsernames = reader
    .entries(['credentials'])
    .flatMap((path) => (source.isSubstituted([...path, 'username']) ? [] : (reader.text([...path, 'username']) ?? [])));

  const checkCredentials = (at: Path): void => {
    for (const { path, text } of reader.texts(at)) {
      if (usernames.includes(text)) continue;
      const written = source.written(path) ?? '';
      const otherwise = 'write the username of one of `credentials`';
      report.error(path, `${quoted(written)} is not a credential`, didYouMean(written, writtenUsernames, otherwise));
    }
  };

  if (reader.isEmpty(['routes'])) {
    report.error(['routes'], 'there is no route', 'give at least one: `routes: { sandbox: { type: sandbox } }`', 'key');
  }
  if (reader.isEmpty(['rules'])) {
    report.error(
      ['rules'],
      'there is no rule',
      'give at least one: `rules: [{ name: default, via: [sandbox] }]`',
      'key',
    );
  }
  for (const rule of reader.entries(['rules']).filter((path) => reader.isMapping(path))) {
    const [hasVia, hasReject] = [reader.has([...rule, 'via']), reader.has([...rule, 'reject'])];
    if (hasVia === hasReject) {
      const message = hasVia ? 'the rule has both `via` and `reject`' : 'the rule has neither `via` nor `reject`';
      report.error(rule, message, 'write `via: [route]`, or `reject: "why"`');
    }
    const seen = new Set<string>();
    for (const { path, text } of reader.texts([...rule, 'via'])) {
      const written = source.written(path) ?? '';
      if (seen.has(text)) report.error(path, `${quoted(written)} is named twice`, 'name each route once');
      else if (!routes.includes(text)) {
        const known = routes.length === 0 ? 'there is no route at all' : `the routes are ${routes.join(', ')}`;
        report.error(path, `${quoted(written)} is not a route`, didYouMean(written, routes, known));
      }
      seen.add(text);
    }
    checkCredentials([...rule, 'when', 'credential']);
  }
  for (const tag of reader.entries(['tags'])) {
    for (const entry of reader.entries([...tag, 'match'])) checkCredentials([...entry, 'credential']);
  }
}
