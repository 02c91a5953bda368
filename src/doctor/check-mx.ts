/**
 * Where mail to our own domains goes: reports must come back to the bounce listener (RFC 5321, section 5.1), and the From
 * domain must be one that mail can be sent to, or many servers refuse mail from it.
 */
import { isIP } from 'node:net';
import type { Config, SenderConfig } from '../config/types.ts';
import { isLoopback } from '../config/network.ts';
import type { DoctorDns, MailHosts } from './dns.ts';
import { type CheckFinding, createFindings, type Findings, plainRecord } from './finding.ts';

const SMTP_PORT = 25;
const WHY_LOST = 'Reports about mail that could not be delivered do not come back: nobody learns that it was lost.';

/** Checks the mail hosts of the return path of `sender`, and that its From domain has any. */
export async function checkMx(sender: SenderConfig, config: Config, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const [own, from] = await Promise.all([
    sender.returnPath === null ? [] : checkReturnPath(sender.returnPath, config, dns),
    sender.returnPath === sender.domain ? [] : checkFromDomain(sender.domain, dns),
  ]);
  return [...own, ...from];
}

async function checkFromDomain(domain: string, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const found = createFindings('mx', domain);
  const [mx, addresses] = await Promise.all([dns.mailHosts(domain), dns.addresses(domain)]);
  if (mx.kind === 'failed') found.unknown(mx.text);
  else if (mx.kind === 'hosts') {
    if (isNullMx(mx)) {
      found.warning('null', {
        message: `${domain} says that it takes no mail (null MX), and it is in From`,
        why: 'People cannot answer, and some servers refuse mail from an address that cannot exist.',
        hint: `Publish an MX record for ${domain}, or use another domain in From.`,
      });
    } else found.ok(`${domain} takes mail at ${mx.hosts.map(({ name }) => name).join(', ')}`);
  } else if (addresses.kind === 'failed') found.unknown(addresses.text);
  else if (addresses.kind === 'none') {
    found.warning('unreachable', {
      message: `${domain} has neither an MX record nor an address, and it is in From`,
      why: 'Many servers refuse mail from a domain that could not be answered.',
      hint: `Publish an MX record for ${domain} that names the host where its mail is read.`,
    });
  } else found.ok(`${domain} has no MX record; its address takes its mail`);
  return found.list;
}

async function checkReturnPath(domain: string, config: Config, dns: DoctorDns): Promise<readonly CheckFinding[]> {
  const found = createFindings('mx', domain);
  const hostname = config.hostname.toLowerCase();
  const record = plainRecord(domain, 'MX', `10 ${hostname}`);
  const mx = await dns.mailHosts(domain);
  switch (mx.kind) {
    case 'failed':
      found.unknown(mx.text);
      break;
    case 'none':
      found.error('missing', {
        message: `the return path ${domain} has no MX record`,
        why: WHY_LOST,
        hint: 'Publish the record.',
        record,
      });
      break;
    case 'hosts': {
      const names = mx.hosts.map(({ name }) => name);
      const leadsHere = names.includes(hostname) || (await sharesAddress(names, hostname, dns));
      if (!leadsHere) {
        found.error('elsewhere', {
          message: isNullMx(mx)
            ? `the return path ${domain} says that it takes no mail (null MX)`
            : `the MX record of the return path ${domain} names ${names.join(', ')}, not this relay (${hostname})`,
          why: WHY_LOST,
          hint: 'Publish the record in place of the others.',
          record,
        });
      } else {
        await judgeHosts(domain, names, dns, found);
        if (found.list.length === 0) found.ok(`reports to ${domain} come to ${names.join(', ')}`);
      }
    }
  }
  judgeListener(domain, config, found);
  return found.list;
}

function isNullMx({ hosts }: MailHosts): boolean {
  return hosts.every(({ name }) => name === '' || name === '.');
}

/** Another name of this machine will do: a mail host whose address is one of the relay's. */
async function sharesAddress(names: readonly string[], hostname: string, dns: DoctorDns): Promise<boolean> {
  const [own, ...others] = await Promise.all([hostname, ...names].map((name) => dns.addresses(name)));
  if (own?.kind !== 'addresses') return false;
  return others.some(
    (answer) => answer.kind === 'addresses' && answer.addresses.some((each) => own.addresses.includes(each)),
  );
}

async function judgeHosts(domain: string, names: readonly string[], dns: DoctorDns, found: Findings): Promise<void> {
  for (const name of names) {
    if (isIP(name) !== 0) {
      found.error('address', {
        message: `the MX record of ${domain} holds an address (${name}) in place of a name`,
        why: WHY_LOST,
        hint: 'Name a host, and give that host an address record.',
      });
      continue;
    }
    const answer = await dns.addresses(name);
    if (answer.kind === 'failed') found.unknown(answer.text);
    else if (answer.kind === 'none') {
      found.error('no-address', {
        message: `${name}, the mail host of ${domain}, has no address`,
        why: WHY_LOST,
        hint: `Publish an A (or AAAA) record for ${name} with the address of this machine.`,
      });
    } else if (answer.alias !== null) {
      found.warning('alias', {
        message: `${name}, the mail host of ${domain}, is an alias (CNAME) of ${answer.alias}`,
        why: 'A mail host must not be an alias (RFC 2181, section 10.3); some servers do not send there.',
        hint: `Name ${answer.alias} in the MX record, or give ${name} an address of its own.`,
      });
    }
  }
}

/** Where reports are to come in, somebody must listen. That a listener is missing is told by the config's own checks. */
function judgeListener(domain: string, config: Config, found: Findings): void {
  const { listeners } = config.bounces;
  if (listeners.length === 0) return;
  const open = listeners.filter(({ host }) => !isLoopback(host));
  if (open.some(({ port }) => port === SMTP_PORT)) return;
  const list = listeners.map(({ host, port }) => `${host}:${port}`).join(', ');
  found.warning('listener', {
    message: `reports to ${domain} come to port ${SMTP_PORT}, and bounces.listeners has ${list} only`,
    why: `${WHY_LOST} Unless something in front hands port ${SMTP_PORT} on to it.`,
    hint: `Listen on { host: 0.0.0.0, port: ${SMTP_PORT}, tls: starttls }, or forward port ${SMTP_PORT} to the listener.`,
  });
}
