/**
 * SPF (RFC 7208) of the domain that a sender's mail has in its envelope: the return path, or the From domain where the app's
 * own envelope sender is kept (then it is the likeliest one).
 *
 * What the relay knows of itself is compared with the record: its own addresses where it delivers directly, the `include` of
 * providers that are known. Of other smarthosts nothing can be said, and that is said.
 */
import { isIP } from 'node:net';
import type { Config, SenderConfig } from '../config/types.ts';
import type { DoctorDns } from './dns.ts';
import { type CheckFinding, createFindings, type Findings, txtRecord } from './finding.ts';
import { providerOf } from './providers.ts';
import { brokenBelow, costOf, endOf, evaluate, includes, loadSpf, MAX_LOOKUPS, type SpfNode } from './spf-tree.ts';
import { outboundAddresses, waysOut } from './ways-out.ts';

const MAX_VOIDS = 2;
/** For whoever publishes the record to replace. */
const PROVIDER = 'include:SPF-DOMAIN-OF-YOUR-PROVIDER';
const OWN_ADDRESS = 'ip4:PUBLIC-ADDRESS-OF-THIS-RELAY';
const WHY_PERMERROR = 'Receivers give up on such a record (permerror): mail of this domain then has no SPF at all.';

/** What the record must have, as far as it is known. */
interface Wanted {
  /** Addresses that mail comes from. */
  readonly addresses: readonly string[];
  readonly includes: readonly { readonly domain: string; readonly who: string; readonly ownReturnPath: boolean }[];
  /** In words of what nothing is known, and what stands for it in a record. */
  readonly unknown: readonly { readonly text: string; readonly term: string }[];
}

/** Checks the SPF record that the mail of `sender` is judged by. */
export async function checkSpf(sender: SenderConfig, config: Config, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const domain = sender.returnPath ?? sender.domain;
  const found = createFindings('spf', domain);
  const [node, wanted] = await Promise.all([loadSpf(domain, dns), wantedBy(sender, config, dns)]);
  switch (node.state.kind) {
    case 'failed':
      found.unknown(node.state.text);
      break;
    case 'none':
    case 'cut':
      found.error('missing', {
        message: `${domain} has no SPF record`,
        why: 'Receivers cannot tell mail from forgeries of it; large ones refuse such mail or call it spam.',
        hint:
          sender.returnPath === null
            ? `Publish the record, with whatever else sends mail as ${domain} in it; what is in capitals is for you to fill in.`
            : 'Publish the record; what is in capitals is for you to fill in.',
        record: txtRecord(domain, recordFor(wanted, sender.returnPath !== null)),
      });
      break;
    case 'several':
      found.error('several', {
        message: `${domain} has ${node.state.texts.length} SPF records: ${node.state.texts.join(' | ')}`,
        why: WHY_PERMERROR,
        hint: 'Put what they allow into one record, and delete the others.',
        record: txtRecord(domain, merged(node.state.texts)),
      });
      break;
    case 'record':
      judgeRecord(node, node.state, found);
      judgeCover(node, node.state.text, wanted, found);
      if (found.list.length === 0) found.ok(`${domain} has one SPF record, and it is in order: ${node.state.text}`);
  }
  for (const { text } of wanted.unknown) found.ok(`cannot be known here: ${text}`);
  return found.list;
}

async function wantedBy(sender: SenderConfig, config: Config, dns: DoctorDns): Promise<Wanted> {
  const { smarthosts, direct } = waysOut(config, sender.domain);
  const addresses = new Set<string>();
  const wantedIncludes = new Map<string, Wanted['includes'][number]>();
  const unknown: Wanted['unknown'][number][] = [];
  for (const route of direct) {
    const own = await outboundAddresses(route, config.hostname, dns);
    if (own.kind === 'addresses') for (const address of own.addresses) addresses.add(address);
    else {
      const text = `which addresses mail of route ${route.name} comes from (${own.text})`;
      unknown.push({ text, term: OWN_ADDRESS });
    }
  }
  for (const { name, host } of smarthosts) {
    const provider = providerOf(host);
    if (provider === null) {
      const text = `which addresses route ${name} sends from: ${host} is no provider that is known here; ask it what SPF needs`;
      unknown.push({ text, term: PROVIDER });
    } else {
      const { include, ownReturnPath } = provider;
      wantedIncludes.set(include, { domain: include, who: `${provider.name} (route ${name})`, ownReturnPath });
    }
  }
  return { addresses: [...addresses], includes: [...wantedIncludes.values()], unknown };
}

function judgeRecord(
  node: SpfNode,
  { text, problems }: { readonly text: string; readonly problems: readonly string[] },
  found: Findings,
): void {
  const { domain } = node;
  if (problems.length > 0) {
    found.error('syntax', {
      message: `the SPF record of ${domain} cannot be read: ${problems.join('; ')}`,
      why: WHY_PERMERROR,
      hint: `Mend the record; it is now: ${text}`,
    });
  }
  for (const broken of brokenBelow(node)) judgeInner(domain, broken, found);
  const cost = costOf(node);
  if (cost.lookups > MAX_LOOKUPS) {
    const dear = cost.byTerm.map(({ text: term, lookups }) => `${term} ${lookups}`).join(', ');
    found.error('lookups', {
      message: `the SPF record of ${domain} needs ${cost.lookups} DNS look-ups; ${MAX_LOOKUPS} are allowed`,
      why: WHY_PERMERROR,
      hint: `Take out what is not used any more, or write ip4: and ip6: instead of a, mx and small includes. They cost: ${dear}.`,
    });
  }
  if (cost.voids > MAX_VOIDS) {
    found.warning('void', {
      message: `${cost.voids} look-ups of the SPF record of ${domain} find nothing; receivers allow ${MAX_VOIDS}`,
      why: 'Some receivers give up on the record then (permerror).',
      hint: 'Take out the a and mx terms whose hosts are gone.',
    });
  }
  judgeEnd(node, text, found);
}

function judgeInner(domain: string, inner: SpfNode, found: Findings): void {
  const { state } = inner;
  if (state.kind === 'failed') {
    found.unknown(`${inner.domain}, which the SPF record of ${domain} includes: ${state.text}`);
    return;
  }
  const what = {
    none: 'has no SPF record',
    several: 'has several SPF records',
    cut: 'leads back to itself, or too deep',
    record: state.kind === 'record' ? `cannot be read: ${state.problems.join('; ')}` : '',
  }[state.kind];
  found.error('include', {
    message: `the SPF record of ${domain} includes ${inner.domain}, which ${what}`,
    why: WHY_PERMERROR,
    hint: `Take include:${inner.domain} out, or have its owner mend it.`,
  });
}

function judgeEnd(node: SpfNode, text: string, found: Findings): void {
  const { domain } = node;
  const ending = endOf(node);
  const record = txtRecord(domain, withEnd(text));
  if (ending === '+') {
    found.error('open', {
      message: `the SPF record of ${domain} ends with +all: it allows the whole Internet`,
      why: 'Anybody may send recovery mail that looks like yours, and passes.',
      hint: 'End it with -all.',
      record,
    });
  } else if (ending === '?' || ending === null) {
    // Behind a redirect that could not be asked, the end is not known.
    if (node.terms.some(({ failed, term }) => failed !== null && term.kind === 'modifier')) return;
    found.warning('end', {
      message: `the SPF record of ${domain} ${ending === null ? 'has no all at its end' : 'ends with ?all'}: it says nothing about forgeries`,
      why: 'Receivers treat a forgery like mail from a domain without SPF.',
      hint: 'End it with -all, or with ~all while you are not sure of all your ways out.',
      record,
    });
  }
}

function judgeCover(node: SpfNode, text: string, wanted: Wanted, found: Findings): void {
  const { domain } = node;
  for (const address of wanted.addresses) {
    const result = evaluate(node, address);
    if (result === 'pass' || result === 'permerror') continue;
    if (result === 'unknown') {
      found.ok(
        `cannot be known here: whether the SPF record of ${domain} covers ${address}: it depends on the mail, or a part of it could not be asked`,
      );
      continue;
    }
    const words = {
      message: `the SPF record of ${domain} does not cover ${address}, which this relay sends from (${result})`,
      why: 'Mail that is delivered directly fails SPF: refused, or taken for spam.',
      hint: `Add ${addressTerm(address)} to the record.`,
      record: txtRecord(domain, withTerm(text, addressTerm(address))),
    };
    if (result === 'fail') found.error('cover', words);
    else found.warning('cover', words);
  }
  for (const { domain: include, who, ownReturnPath } of wanted.includes) {
    if (includes(node, include)) continue;
    if (ownReturnPath) {
      found.ok(
        `include:${include} of ${who} is not in the SPF record of ${domain}: in order as long as it sends with a return path of its own`,
        `If you set up a return path of your domain with it, add include:${include}.`,
      );
      continue;
    }
    found.warning('include-missing', {
      message: `the SPF record of ${domain} lacks include:${include} of ${who}`,
      why: 'Mail over that route fails SPF unless its addresses are in the record in another way.',
      hint: `Add include:${include} to the record.`,
      record: txtRecord(domain, withTerm(text, `include:${include}`)),
    });
  }
}

/** The whole record where there is none. Only a domain that nobody else uses can refuse all others at once. */
function recordFor(wanted: Wanted, isOurs: boolean): string {
  const terms = [
    ...wanted.addresses.map(addressTerm),
    ...wanted.includes.map(({ domain }) => `include:${domain}`),
    // A record that only denies would be wrong here: something sends, and nobody knows from where.
    ...new Set(wanted.unknown.map(({ term }) => term)),
  ];
  return ['v=spf1', ...(terms.length === 0 ? [PROVIDER] : terms), isOurs ? '-all' : '~all'].join(' ');
}

function addressTerm(address: string): string {
  return `ip${isIP(address)}:${address}`;
}

/** `text` with `term` in front of what ends it. */
function withTerm(text: string, term: string): string {
  const words = text.split(/ +/).filter((word) => word !== '');
  const end = words.findIndex((word) => /^(?:[-+~?]?all|redirect=.*)$/i.test(word));
  return words.toSpliced(end === -1 ? words.length : end, 0, term).join(' ');
}

function withEnd(text: string): string {
  const words = text.split(/ +/).filter((word) => word !== '' && !/^[-+~?]?all$/i.test(word));
  return [...words, '-all'].join(' ');
}

/** One record with the terms of all; of several ends the mildest, for nothing that was allowed is to be refused now. */
function merged(texts: readonly string[]): string {
  const words = texts
    .flatMap((text) => text.split(/ +/).slice(1))
    .filter((word) => word !== '')
    // Beside an `all`, a redirect would not count.
    .map((word) => word.replace(/^redirect=/i, 'include:'));
  const terms = [...new Set(words.filter((word) => !/^[-+~?]?all$/i.test(word)))];
  const end = words.some((word) => /^~all$/i.test(word)) ? '~all' : '-all';
  return ['v=spf1', ...terms, end].join(' ');
}
