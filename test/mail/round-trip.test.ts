/**
 * MIME reading beside a writer that is not ours: nodemailer builds messages of every charset, transfer encoding, nesting and line
 * end, and the links that the audit reads must be those that were put in, no more and no fewer, with nothing in doubt.
 */
import MailComposer from 'nodemailer/lib/mail-composer';
import MimeNode from 'nodemailer/lib/mime-node';
import { expect, test } from 'vitest';
import type { LinkTarget } from '../../src/mail/link-target.ts';
import { readLinks } from '../../src/mail/links.ts';
import { readParts } from '../../src/mail/parts.ts';
import fc from '../support/properties.ts';

const ENCODINGS = ['quoted-printable', 'base64', '8bit'] as const;
type Encoding = (typeof ENCODINGS)[number];

/** Of each character set some letters that it has; none: those of Unicode. */
const CHARSETS: ReadonlyMap<string, string> = new Map([
  ['utf-8', 'éжß漢字🙂 '],
  ['us-ascii', '=?_~'],
  ['iso-8859-1', 'éßÿ\u00a0'],
  ['iso-8859-15', '€éœ'],
  ['windows-1252', '€“”…é'],
  ['windows-1251', 'жщя«»'],
  ['koi8-r', 'жщя░'],
  ['ibm866', 'жщя'],
  ['shift_jis', 'ｱ表ソ能漢字'],
  ['gbk', '漢字乗亐'],
  ['big5', '許功蓋漢字'],
  ['euc-kr', '한글'],
  ['utf-16le', 'éж漢🙂'],
  ['utf-16be', 'éж漢🙂'],
]);

/** The octets of each character, as the runtime's own decoder has them. */
const tables = new Map<string, ReadonlyMap<string, readonly number[]>>();

function tableOf(charset: string): ReadonlyMap<string, readonly number[]> {
  const known = tables.get(charset);
  if (known !== undefined) return known;
  const table = new Map<string, readonly number[]>();
  const decoder = new TextDecoder(charset);
  const add = (...octets: number[]): void => {
    const text = decoder.decode(new Uint8Array(octets));
    if ([...text].length === 1 && text !== '\ufffd' && !table.has(text)) table.set(text, octets);
  };
  for (let first = 0; first < 256; first++) add(first);
  for (let first = 0x81; first < 256; first++) for (let second = 0x40; second < 256; second++) add(first, second);
  tables.set(charset, table);
  return table;
}

function encode(text: string, charset: string): Buffer {
  switch (charset) {
    case 'utf-8':
      return Buffer.from(text);
    case 'utf-16le':
      return Buffer.from(text, 'utf16le');
    case 'utf-16be':
      return Buffer.from(text, 'utf16le').swap16();
    default: {
      const table = tableOf(charset);
      return Buffer.from(
        [...text].flatMap((character) => {
          const octets = table.get(character);
          if (octets === undefined) throw new Error(`${charset} has no ${character}`);
          return [...octets];
        }),
      );
    }
  }
}

interface Body {
  readonly kind: 'text' | 'html';
  readonly charset: string;
  readonly encoding: Encoding;
  /** `format=flowed`, `delsp=yes`: lines are broken after so many characters; null: they are as they are. */
  readonly flowed: number | null;
  readonly pieces: readonly string[];
  readonly hosts: readonly string[];
}

/** A body whose links lead to hosts of its own; words of all sizes lie between them, so that every fold falls somewhere. */
const body = (kind: Body['kind']): fc.Arbitrary<Body> =>
  fc.constantFrom(...CHARSETS.keys()).chain((charset) => {
    const letters = CHARSETS.get(charset) ?? '';
    const word = fc.string({ unit: fc.constantFrom(...'abc.=-,;', ...letters), maxLength: 90, size: 'max' });
    const space = fc.constantFrom(
      ' ',
      '\r\n',
      '\r\n\r\n',
      '\t',
      ' \r\n',
      '\r\n.\r\n',
      '\r\n--\r\n',
      '\r\n-- \r\nFrom x\r\n',
    );
    const wide = charset.startsWith('utf-16');
    return fc.record({
      kind: fc.constant(kind),
      charset: fc.constant(charset),
      flowed: kind === 'text' ? fc.option(fc.integer({ min: 1, max: 90 })) : fc.constant(null),
      // What is not a text of lines is written in base64.
      encoding: wide ? fc.constant<Encoding>('base64') : fc.constantFrom(...ENCODINGS),
      pieces: fc.array(
        fc.tuple(word, space).map(([text, gap]) => quiet(text) + gap),
        { minLength: 1, maxLength: 5 },
      ),
      hosts: fc.array(
        fc.integer({ min: 0, max: 99_999 }).map((number) => `h${number}.example.net`),
        { maxLength: 4 },
      ),
    });
  });

/** Without what could be a name of a host, or a tag. */
const quiet = (text: string): string => text.replaceAll(/\.(?=[^\s.])/g, '. ');

function textOf({ kind, flowed, pieces, hosts }: Body): string {
  const lines = pieces.map((piece, index) => `${piece} ${linksOf(hosts, index, kind)}`);
  const rest = hosts.slice(pieces.length).map((_host, index) => linksOf(hosts, index + pieces.length, kind));
  const text = [...lines, ...rest].join('\r\n');
  return flowed === null ? text : flow(text, flowed);
}

/** As RFC 3676, section 4.2, has it written: spaces at line ends go, lines are broken, and stuffed where that is needed. */
function flow(text: string, width: number): string {
  const lines = text.split('\r\n').flatMap((line) => {
    const characters = [...(line === '-- ' ? line : line.trimEnd())];
    const count = line === '-- ' ? 1 : Math.max(1, Math.ceil(characters.length / width));
    const size = line === '-- ' ? 3 : width;
    return Array.from({ length: count }, (_, index) => {
      const piece = characters.slice(index * size, (index + 1) * size).join('');
      const stuffed = /^(?:[ >]|From )/.test(piece) || (piece === '--' && index < count - 1) ? ` ${piece}` : piece;
      return index < count - 1 ? `${stuffed} ` : stuffed;
    });
  });
  return lines.join('\r\n');
}

function linksOf(hosts: readonly string[], index: number, kind: Body['kind']): string {
  const host = hosts[index];
  if (host === undefined) return '';
  const address = `https://${host}/reset?token=${'x=3D'.repeat(index * 9)}&a=1`;
  return kind === 'text' ? address : `<a\r\n href="${address.replaceAll('&', '&amp;')}">Go on</a>`;
}

type Written =
  | { readonly content: Buffer; readonly contentType: string; readonly contentTransferEncoding: Encoding }
  | { readonly raw: Buffer };

const parametersOf = ({ charset, flowed }: Body): string =>
  `"${charset}"${flowed === null ? '' : '; format=Flowed; delsp=YES'}`;

function part(given: Body): Written {
  const content = encode(textOf(given), given.charset);
  const type = `text/${given.kind === 'text' ? 'plain' : 'html'}; charset=`;
  // It writes no 8bit by itself, and calls every text utf-8 and no more: the second is put right afterwards.
  return given.encoding === '8bit'
    ? {
        raw: Buffer.concat([
          Buffer.from(`Content-Type: ${type}${parametersOf(given)}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`),
          content,
        ]),
      }
    : { content, contentType: `${type}utf-8`, contentTransferEncoding: given.encoding };
}

interface Mail {
  readonly text: Body | null;
  readonly html: Body | null;
  readonly picture: boolean;
  readonly file: boolean;
  readonly depth: number;
  readonly lineEnd: 'CRLF' | 'LF';
}

const mail: fc.Arbitrary<Mail> = fc.record({
  text: fc.option(body('text'), { freq: 5 }),
  html: fc.option(body('html'), { freq: 5 }),
  picture: fc.boolean(),
  file: fc.boolean(),
  depth: fc.nat(4),
  lineEnd: fc.constantFrom('CRLF' as const, 'LF' as const),
});

async function written({ text, html, picture, file, depth, lineEnd }: Mail): Promise<Buffer> {
  const compiled = new MailComposer({
    from: 'a@example.com',
    subject: 'x',
    ...(text === null ? {} : { text: part(text) }),
    ...(html === null ? {} : { html: part(html) }),
    attachments: [
      ...(picture ? [{ filename: 'p.png', cid: 'p', content: Buffer.from('https://picture.example.org/') }] : []),
      ...(file ? [{ filename: 'f.html', content: 'https://file.example.org/' }] : []),
    ],
  }).compile();
  let node: MimeNode = compiled;
  for (let level = 0; level < depth; level++) {
    const outer = new MimeNode(level % 2 === 0 ? 'multipart/mixed' : 'multipart/alternative');
    outer.appendChild(node);
    node = outer;
  }
  const labelled = [text, html].filter((one) => one !== null && one.encoding !== '8bit');
  const octets = (await node.build())
    .toString('latin1')
    .replace(/(?<=^Content-Type: text\/(?:plain|html); charset=)utf-8/gm, (label) => {
      const named = labelled.shift();
      return named == null ? label : parametersOf(named);
    });
  return Buffer.from(lineEnd === 'CRLF' ? octets : octets.replaceAll('\r\n', '\n'), 'latin1');
}

test('the links of a message are those that another program wrote into it', async () => {
  await fc.assert(
    fc.asyncProperty(mail, async (given) => {
      const { texts, unread } = readParts(await written(given));
      expect([...unread]).toEqual([]);
      const { links, whole } = readLinks(texts);
      expect(whole).toBe(true);
      // A reader that does not join the lines has other links besides.
      const names = new Set([given.text, given.html].flatMap((one) => one?.hosts ?? []));
      const counts = ({ scheme, host }: LinkTarget): boolean =>
        given.text?.flowed == null || (scheme === 'https' && names.has(host ?? ''));
      const expected = [given.text, given.html].flatMap((one) => one?.hosts ?? []);
      expect(
        links
          .filter(({ kind, target }) => kind !== 'bare' && counts(target))
          .map(({ target }) => `${target.scheme}:${target.host}`),
      ).toEqual(expected.map((host) => `https:${host}`));
    }),
    { numRuns: 1000 },
  );
});
