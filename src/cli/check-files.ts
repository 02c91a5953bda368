/** What `check` asks of files and folders: are they there, may we use them, and may others read what is secret. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from '../core/errors.ts';
import type { CheckResult } from './check.ts';
import { dateTime, span } from './format.ts';
import { fileTrouble } from './plain-words.ts';

const OTHERS_MAY_READ = 0o077;
const EXPIRY_WARNING_MS = 14 * 86_400_000;

/** Whether only its owner may read a file that holds a secret. One that is missing is somebody else's finding. */
export async function checkPrivateFile(about: string, file: string): Promise<readonly CheckResult[]> {
  const mode = await modeOf(file);
  if (mode === null || (mode & OTHERS_MAY_READ) === 0) return [];
  return [
    {
      level: 'warning',
      about,
      message: `${file} can be read by other users (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
      hint: `chmod 600 ${file}`,
    },
  ];
}

/** Whether the listeners' certificate and key can be read, belong together, and are in their time. */
export async function checkCertificate(
  tls: { readonly cert: string; readonly key: string },
  now: number,
): Promise<readonly CheckResult[]> {
  const about = 'tls';
  const absent = [tls.cert, tls.key].filter((file) => !existsSync(file));
  if (absent.length > 0) {
    const hint =
      'smtp.tls.cert and smtp.tls.key name PEM files; without `smtp.tls` the relay makes a certificate itself.';
    return absent.map((file) => ({ level: 'error', about, message: `${file}: there is no such file`, hint }));
  }
  try {
    const certificate = new X509Certificate(await readFile(tls.cert));
    const key = createPrivateKey(await readFile(tls.key));
    const others = await checkPrivateFile(about, tls.key);
    if (!certificate.checkPrivateKey(key)) {
      const message = `${tls.key} is not the key of the certificate in ${tls.cert}`;
      return [{ level: 'error', about, message, hint: 'smtp.tls.cert and smtp.tls.key belong together.' }, ...others];
    }
    const from = Date.parse(certificate.validFrom);
    const until = Date.parse(certificate.validTo);
    return [inTime(tls.cert, from, until, now), ...others];
  } catch (error) {
    const message = `the certificate cannot be used: ${fileTrouble(error)}`;
    return [{ level: 'error', about, message, hint: 'smtp.tls.cert and smtp.tls.key name PEM files.' }];
  }
}

function inTime(file: string, from: number, until: number, now: number): CheckResult {
  const about = 'tls';
  const hint = 'Renew it; SIGHUP makes the relay read it again.';
  if (now < from) return { level: 'error', about, message: `${file} is not valid before ${dateTime(from)}`, hint };
  if (now > until) return { level: 'error', about, message: `${file} ran out on ${dateTime(until)}`, hint };
  if (until - now < EXPIRY_WARNING_MS) {
    return { level: 'warning', about, message: `${file} runs out in ${span(until - now)}`, hint };
  }
  return { level: 'ok', about, message: `${file} is valid until ${dateTime(until)}`, hint: '' };
}

/** Whether the data folder can be written, or made, and what lies in it is for its owner alone. */
export async function checkDataFolder(folder: string): Promise<readonly CheckResult[]> {
  const about = 'data';
  const hint = 'The user that the relay runs as needs a folder to write to; change `data`, or its owner.';
  const mode = await modeOf(folder);
  if (mode === null) {
    const parent = await nearestFolder(folder);
    return isFolder(await modeOf(parent)) && (await mayWrite(parent))
      ? [{ level: 'ok', about, message: `${folder} will be made at the first start`, hint: '' }]
      : [{ level: 'error', about, message: `${folder} cannot be made: ${parent} cannot be written`, hint }];
  }
  if (!isFolder(mode) || !(await mayWrite(folder)))
    return [{ level: 'error', about, message: `${folder} cannot be written`, hint }];
  const results: CheckResult[] = [{ level: 'ok', about, message: `${folder} can be written`, hint: '' }];
  if ((mode & 0o007) !== 0) {
    const message = `${folder} is open to every user of this machine`;
    results.push({ level: 'warning', about, message, hint: `chmod 750 ${folder}` });
  }
  results.push(...(await checkPrivateFile(about, path.join(folder, 'content.key'))));
  return results;
}

/** Whether the log file can be appended to, or made. */
export async function checkLogFile(file: string): Promise<readonly CheckResult[]> {
  const place = (await modeOf(file)) === null ? await nearestFolder(path.dirname(file)) : file;
  if (await mayWrite(place)) return [{ level: 'ok', about: 'log', message: `${file} can be written`, hint: '' }];
  const hint = 'Change log.file, or its owner; without it the log goes to standard output alone.';
  return [{ level: 'error', about: 'log', message: `${file} cannot be written`, hint }];
}

/** Kind and permission bits, or null when there is no such file or we cannot come near it. */
async function modeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).mode;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

function isFolder(mode: number | null): boolean {
  return mode !== null && (mode & constants.S_IFMT) === constants.S_IFDIR;
}

async function nearestFolder(folder: string): Promise<string> {
  let place = folder;
  while ((await modeOf(place)) === null && path.dirname(place) !== place) place = path.dirname(place);
  return place;
}

async function mayWrite(place: string): Promise<boolean> {
  return access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
}
