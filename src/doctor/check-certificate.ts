/**
 * The listeners' certificate (`smtp.tls`): can it be read, does the key belong to it, is it in its time, does it cover the
 * relay's name, and does each certificate of the file lead on to the next (RFC 8446, section 4.4.2).
 *
 * Whether an authority at its end is trusted is for the apps to say: many have one of their own. A certificate that signed
 * itself is told.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isoTime } from '../core/time.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { checkPrivateFile } from './check-files.ts';
import { type CheckFinding, createFindings, type Findings } from './finding.ts';

const DAY_MS = 86_400_000;
const WARNING_DAYS = 21;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const WHY_NO_START = 'The relay does not start with it; a running one keeps the old one.';
const WHY_REFUSED = 'Apps that verify certificates, as they should, cannot submit mail.';

/** Checks the pair of `smtp.tls` for a relay that is called `hostname`. */
export async function checkCertificate(
  tls: { readonly cert: string; readonly key: string },
  hostname: string,
  now: number,
): Promise<readonly CheckFinding[]> {
  const found = createFindings('tls', tls.cert);
  const hint = 'smtp.tls.cert and smtp.tls.key name PEM files that belong together.';
  const absent = [tls.cert, tls.key].filter((file) => !existsSync(file));
  for (const file of absent) {
    found.error('missing', {
      message: `${file}: there is no such file`,
      why: WHY_NO_START,
      hint: `${hint} Without \`smtp.tls\` the relay makes a certificate itself, for loopback.`,
    });
  }
  if (absent.length > 0) return found.list;
  try {
    const chain = parseChain(await readFile(tls.cert, 'utf8'));
    const [certificate, ...issuers] = chain;
    if (certificate === undefined) {
      found.error('none', { message: `${tls.cert} holds no certificate`, why: WHY_NO_START, hint });
    } else if (!certificate.checkPrivateKey(createPrivateKey(await readFile(tls.key)))) {
      const message = `${tls.key} is not the key of the certificate in ${tls.cert}`;
      found.error('key', { message, why: WHY_NO_START, hint });
    } else {
      judgeTime(tls.cert, certificate, now, found);
      judgeNames(tls.cert, certificate, hostname, found);
      judgeChain(tls.cert, certificate, issuers, now, found);
    }
  } catch (error) {
    found.error('unusable', {
      message: `the certificate cannot be used: ${fileTrouble(error)}`,
      why: WHY_NO_START,
      hint,
    });
  }
  return [...found.list, ...(await checkPrivateFile('tls', tls.key))];
}

function parseChain(pem: string): readonly X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
}

function judgeTime(file: string, certificate: X509Certificate, now: number, found: Findings): void {
  const from = Date.parse(certificate.validFrom);
  const until = Date.parse(certificate.validTo);
  const hint = 'Renew it; SIGHUP makes the relay read it again.';
  if (now < from) {
    const message = `${file} is not valid before ${day(from)}`;
    found.error('early', { message, why: WHY_REFUSED, hint: 'Is the clock right? Else wait, or get another one.' });
  } else if (now > until) {
    found.error('expired', { message: `${file} ran out on ${day(until)}`, why: WHY_REFUSED, hint });
  } else if (until - now < WARNING_DAYS * DAY_MS) {
    const message = `${file} runs out on ${day(until)}, in ${Math.floor((until - now) / DAY_MS)} days`;
    found.warning('expires', { message, why: `Then: ${WHY_REFUSED.toLowerCase()}`, hint });
  } else found.ok(`${file} is valid until ${day(until)}`);
}

function judgeNames(file: string, certificate: X509Certificate, hostname: string, found: Findings): void {
  if (certificate.checkHost(hostname) !== undefined) return;
  const names = certificate.subjectAltName ?? certificate.subject.replaceAll('\n', ', ');
  found.warning('name', {
    message: `${file} is not for ${hostname}, the relay's name: ${names}`,
    why: `Clients that connect to ${hostname} see a wrong name. ${WHY_REFUSED}`,
    hint: `Get a certificate for ${hostname}, or have the apps connect to a name that it covers.`,
  });
}

function judgeChain(
  file: string,
  certificate: X509Certificate,
  issuers: readonly X509Certificate[],
  now: number,
  found: Findings,
): void {
  if (isSelfSigned(certificate)) {
    found.warning('self-signed', {
      message: `${file} is signed by itself, not by an authority`,
      why: `${WHY_REFUSED} Unless each of them is given this very certificate to trust.`,
      hint: 'Get one from an authority that the apps trust.',
    });
    return;
  }
  let below = certificate;
  for (const [index, issuer] of issuers.entries()) {
    if (!below.checkIssued(issuer) || !below.verify(issuer.publicKey)) {
      found.error('chain', {
        message: `certificate ${index + 2} of ${file} did not issue the one before it`,
        why: WHY_REFUSED,
        hint: "The file holds the relay's certificate first, then each issuer after the one that it issued.",
      });
      return;
    }
    if (now > Date.parse(issuer.validTo)) {
      found.error('chain-expired', {
        message: `certificate ${index + 2} of ${file} ran out on ${day(Date.parse(issuer.validTo))}`,
        why: WHY_REFUSED,
        hint: "Get the issuer's present certificate.",
      });
    }
    below = issuer;
  }
  if (issuers.length === 0) {
    found.ok(
      `${file} holds one certificate, without its issuer`,
      'When the issuer is not a root that the apps trust, put its certificate behind it in the file (fullchain.pem).',
    );
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  // `checkIssued` says no where the certificate may not sign others, as one for a server may not.
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

function day(epochMs: number): string {
  const iso = isoTime(epochMs);
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}
