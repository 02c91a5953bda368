/**
 * `dkim`: makes signing keys, prints the DNS records that publish them, and compares what DNS has with the keys.
 *
 * A private key is written once, with mode 0600, never over a file that is there, and never printed. The record goes to
 * standard output alone, ready for a zone file (or as JSON); what to do with it goes to standard error.
 */
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { domainToASCII } from 'node:url';
import { type Command, Option } from 'commander';
import type { Config, SenderConfig } from '../config/types.ts';
import { errorCode, RelayError } from '../core/errors.ts';
import { createAtMost } from '../core/at-most.ts';
import { checkDkim } from '../doctor/check-dkim.ts';
import { createDoctorClient } from '../doctor/client.ts';
import { createDoctorDns } from '../doctor/dns.ts';
import { type DnsRecord, dnsRecord, generateDkimKey } from '../signing/generate.ts';
import { readKeyFile } from '../signing/keys.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { printFindings } from './check-text.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { RESOLVER_HELP, resolverIn } from './resolver-option.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { loadSettings } from './settings.ts';

interface GenerateOptions extends GlobalOptions {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: 'rsa' | 'ed25519';
  readonly out: string;
}

interface CheckOptions extends GlobalOptions {
  readonly domain?: string;
  readonly selector?: string;
  readonly resolver?: string;
}

interface DnsOptions extends GlobalOptions {
  readonly domain?: string;
  readonly selector?: string;
  readonly key?: string;
}

const LOOKUPS_AT_A_TIME = 10;
const LABEL = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;

/** Adds `dkim` to `program`. */
export function dkimCommand(program: Command, io: CliIo): void {
  const dkim = program.command('dkim').description('DKIM keys and their DNS records');
  dkim
    .command('generate')
    .description('make a signing key, write it to a file, and print its DNS record')
    .requiredOption('--domain <domain>', 'domain of the From addresses that it signs for')
    .requiredOption('--selector <selector>', 'name of the key in DNS: lp1')
    .addOption(new Option('--algorithm <name>', 'kind of key').choices(['rsa', 'ed25519']).default('rsa'))
    .requiredOption('--out <file>', 'file for the private key; must not be there yet')
    .action(async (_options: unknown, command: Command) => {
      await generate(io, command.optsWithGlobals<GenerateOptions>());
    });
  dkim
    .command('dns')
    .description('print the DNS records of the configured keys, or of one key file')
    .option('--domain <domain>', 'only keys of this domain')
    .option('--key <file>', 'a key that is not in the config; needs --domain and --selector')
    .option('--selector <selector>', 'only the key with this selector')
    .action(async (_options: unknown, command: Command) => {
      await printRecords(io, command.optsWithGlobals<DnsOptions>());
    });
  dkim
    .command('check')
    .description('ask DNS for the records of the configured keys, and compare them with the keys')
    .option('--domain <domain>', 'only keys of this domain')
    .option('--selector <selector>', 'only the key with this selector')
    .option('--resolver <server>', RESOLVER_HELP)
    .action(async (_options: unknown, command: Command) => {
      await compareRecords(io, command.optsWithGlobals<CheckOptions>());
    });
}

async function generate(io: CliIo, options: GenerateOptions): Promise<void> {
  const domain = dnsName('domain', options.domain);
  const selector = dnsName('selector', options.selector);
  const file = path.resolve(options.out);
  const { privatePem } = await generateDkimKey({ algorithm: options.algorithm });
  await writeNewKey(file, privatePem);
  const record = dnsRecord(privatePem, domain, selector);
  await printRecord(io, options, record);
  await io.stderr.write(
    `The private key is in ${file} (mode 0600). Put the record above into DNS, name the key in the config,\n` +
      `  senders: [{ domain: ${domain}, dkim: [{ selector: ${selector}, key: ${file} }] }]\n` +
      'and restart or reload the relay once the record can be looked up.\n',
  );
}

/** Writes a file that is not there yet. A half-written one is not left to be taken for a key: it is synced before use. */
async function writeNewKey(file: string, pem: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(pem);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(file, 0o600);
  } catch (error) {
    const exists = errorCode(error) === 'EEXIST';
    throw new RelayError(
      exists ? `${file} is there already and stays as it is` : `cannot write ${file}: ${fileTrouble(error)}`,
      {
        code: 'key',
        op: 'cli.dkim-generate',
        hint: exists
          ? 'Choose another file; a new key needs a new selector too.'
          : 'Choose a folder that you may write to.',
        cause: error,
      },
    );
  }
}

async function printRecords(io: CliIo, options: DnsOptions): Promise<void> {
  const domain = options.domain === undefined ? null : dnsName('domain', options.domain);
  const selector = options.selector === undefined ? null : dnsName('selector', options.selector);
  if (options.key !== undefined) {
    if (domain === null || selector === null) {
      throw usage(
        '--key needs --domain and --selector',
        'They make the name of the record: selector._domainkey.domain.',
      );
    }
    await printRecord(io, options, dnsRecord(await readKey(path.resolve(options.key)), domain, selector));
    return;
  }
  for (const sender of wantedSenders(loadSettings(io, options), domain, selector)) {
    for (const key of sender.dkim) {
      await printRecord(io, options, dnsRecord(await readKey(key.key), sender.domain, key.selector));
    }
  }
}

async function compareRecords(io: CliIo, options: CheckOptions): Promise<void> {
  const domain = options.domain === undefined ? null : dnsName('domain', options.domain);
  const selector = options.selector === undefined ? null : dnsName('selector', options.selector);
  const named = options.resolver === undefined ? null : [resolverIn(options.resolver)];
  const config = loadSettings(io, options);
  const client = createDoctorClient({ config: () => config, named, clock: io.clock });
  const dns = createDoctorDns(client, createAtMost(LOOKUPS_AT_A_TIME), io.signal);
  const senders = wantedSenders(config, domain, selector);
  const sections = await Promise.all(
    senders.map(async (sender) => ({
      title: `DKIM records of ${sender.domain}`,
      findings: await checkDkim(sender, dns, readKeyFile),
    })),
  );
  await printFindings(io, options, sections, 'The records fit the keys.');
}

/** The senders with the keys that are meant; throws a `RelayError` (`key`) when there is none. */
function wantedSenders({ senders }: Config, domain: string | null, selector: string | null): readonly SenderConfig[] {
  const wanted = senders
    .filter((sender) => domain === null || sender.domain === domain)
    .map((sender) => ({ ...sender, dkim: sender.dkim.filter((key) => selector === null || key.selector === selector) }))
    .filter(({ dkim }) => dkim.length > 0);
  if (wanted.length > 0) return wanted;
  throw new RelayError('the config has no such DKIM key', {
    code: 'key',
    op: 'cli.dkim-dns',
    hint: 'senders[].dkim names the keys; `leadpush-relay dkim generate` makes one.',
  });
}

async function readKey(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new RelayError(`cannot read ${file}: ${fileTrouble(error)}`, {
      code: 'key',
      op: 'cli.dkim-dns',
      hint: 'Run the command as the user that the relay runs as.',
      cause: error,
    });
  }
}

function printRecord(io: CliIo, options: GlobalOptions, record: DnsRecord): Promise<void> {
  const { name, value, zoneLine } = record;
  return io.stdout.write(
    wantsJson(io, options) ? `${jsonLine({ name, type: 'TXT', value, zone: zoneLine })}\n` : `${zoneLine}\n`,
  );
}

/** A domain or selector in lower case as A-labels; throws a `RelayError` (`usage`) when it is not made of DNS labels. */
function dnsName(what: 'domain' | 'selector', text: string): string {
  const ascii = domainToASCII(text.replace(/\.$/, '')).toLowerCase() || text.toLowerCase();
  if (ascii.length <= 253 && ascii.split('.').every((label) => LABEL.test(label))) return ascii;
  throw usage(
    `--${what} is not made of DNS labels`,
    what === 'domain' ? 'For instance: --domain example.com' : 'For instance: --selector lp1',
  );
}

function usage(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.dkim', hint });
}
