/**
 * Files and folders: are they there, may this user work with them, and may others read what is secret. Reads only.
 *
 * Judged as the user who runs the check, who should be the one that the relay runs as. Files in the data folder that belong to
 * somebody else than the folder are told apart: a command that root ran once leaves such files, and the relay cannot write them.
 */
import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../config/types.ts';
import { errorCode } from '../core/errors.ts';
import { oddKind } from '../core/file-trouble.ts';
import { shellWord } from '../core/shell-word.ts';
import { LOG_FILE_HINT } from '../telemetry/destination.ts';
import { type CheckFinding, createFindings } from './finding.ts';

const OTHERS = 0o077;
const EVERYBODY = 0o007;
/** What the relay keeps in its folder; missing ones are made when they are needed. */
const DATA_FILES: readonly string[] = ['relay.db', 'relay.db-wal', 'relay.db-shm', 'content.key', 'relay.lock'];

/** Whether only its owner may read a file that holds a secret. One that is missing is somebody else's finding. */
export async function checkPrivateFile(about: string, file: string): Promise<readonly CheckFinding[]> {
  const found = createFindings(about, file);
  const stats = await statsOf(file);
  if (stats === null || (stats.mode & OTHERS) === 0) return [];
  found.warning('readable', {
    message: `${file} can be read by other users (mode ${octal(stats.mode)})`,
    why: 'Whoever has this secret can act as the relay.',
    hint: `chmod 600 ${shellWord(file)}`,
  });
  return found.list;
}

/** Whether the data folder can be written, or made, and what lies in it is for its owner alone. */
export async function checkDataFolder(folder: string): Promise<readonly CheckFinding[]> {
  const found = createFindings('data', folder);
  const why = 'The relay keeps its queue, its log of events and its key there, and does not start without.';
  const hint = 'The user that the relay runs as needs a folder to write to; change `data`, or its owner.';
  const stats = await statsOf(folder);
  if (stats === null) {
    const parent = await nearestFolder(folder);
    if ((await statsOf(parent))?.isDirectory() === true && (await mayWrite(parent))) {
      found.ok(`${folder} will be made at the first start`);
    } else {
      found.error('not-makeable', { message: `${folder} cannot be made: ${parent} cannot be written`, why, hint });
    }
    return found.list;
  }
  if (!stats.isDirectory() || !(await mayWrite(folder))) {
    found.error('not-writable', { message: `${folder} cannot be written`, why, hint });
    return found.list;
  }
  found.ok(`${folder} can be written`);
  if ((stats.mode & EVERYBODY) !== 0) {
    found.warning('open', {
      message: `${folder} is open to every user of this machine`,
      why: 'It holds who got which mail, and the key that content is encrypted under.',
      hint: `chmod 750 ${shellWord(folder)}`,
    });
  }
  const inside = await Promise.all(
    DATA_FILES.map((name) => checkOwner(path.join(folder, name), { folder, uid: stats.uid })),
  );
  return [...found.list, ...inside.flat(), ...(await checkPrivateFile('data', path.join(folder, 'content.key')))];
}

async function checkOwner(
  file: string,
  folder: { readonly folder: string; readonly uid: number },
): Promise<readonly CheckFinding[]> {
  const stats = await statsOf(file);
  return stats === null ? [] : judgeOwner({ file, uid: stats.uid }, folder);
}

/** What it means that a file of the data folder belongs to its owner, or to somebody else. Pure. */
export function judgeOwner(
  { file, uid }: { readonly file: string; readonly uid: number },
  owner: { readonly folder: string; readonly uid: number },
): readonly CheckFinding[] {
  if (uid === owner.uid) return [];
  const found = createFindings('data', file);
  found.warning('owner', {
    message: `${file} belongs to user ${uid}, its folder to user ${owner.uid}`,
    why: 'A relay that runs as the owner of the folder may not be able to use the file; a command run as root makes such files.',
    hint: `chown --reference=${shellWord(owner.folder)} ${shellWord(file)}`,
  });
  return found.list;
}

/** Whether the log file can be appended to, or made; and whether everybody may read in it who gets mail. */
export async function checkLogFile(file: string): Promise<readonly CheckFinding[]> {
  const found = createFindings('log', file);
  const stats = await statsOf(file);
  const odd = stats === null ? null : oddKind(stats);
  if (odd !== null) {
    found.error('not-a-file', {
      message: `${file} is ${odd}, not a file`,
      why: 'The relay does not start: it could wait for ever to write its log.',
      hint: LOG_FILE_HINT,
    });
    return found.list;
  }
  const place = stats === null ? await nearestFolder(path.dirname(file)) : file;
  if (!(await mayWrite(place))) {
    found.error('not-writable', {
      message: `${file} cannot be written`,
      why: 'The relay does not start when it cannot write its log.',
      hint: 'Change log.file, or its owner; without it the log goes to standard output alone.',
    });
    return found.list;
  }
  found.ok(`${file} can be written`);
  if (stats !== null && (stats.mode & EVERYBODY) !== 0 && !(await isShielded(path.dirname(file)))) {
    found.warning('open', {
      message: `${file} can be read by every user of this machine (mode ${octal(stats.mode)})`,
      why: 'It says who got which kind of mail.',
      hint: `chmod 640 ${shellWord(file)}`,
    });
  }
  return found.list;
}

/** Whether the config file, where it names secrets itself, is for its owner alone: the config's own checks tell which. */
export async function checkConfigFile({ file }: Config): Promise<readonly CheckFinding[]> {
  const stats = await statsOf(file);
  if (stats === null || (stats.mode & 0o022) === 0) return [];
  const found = createFindings('config', file);
  found.warning('writable', {
    message: `${file} can be changed by other users (mode ${octal(stats.mode)})`,
    why: 'Whoever changes it decides who may send, and where mail goes.',
    hint: `chmod go-w ${shellWord(file)}`,
  });
  return found.list;
}

/** Nobody but owner and group comes into the folder, whatever the files in it allow. */
async function isShielded(folder: string): Promise<boolean> {
  return (((await statsOf(folder))?.mode ?? 0) & 0o001) === 0;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** null when there is no such file or we cannot come near it. */
async function statsOf(file: string): Promise<Stats | null> {
  try {
    return await stat(file);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

/** `folder`, or the nearest one above it that is there. */
export async function nearestFolder(folder: string): Promise<string> {
  let place = folder;
  while ((await statsOf(place)) === null && path.dirname(place) !== place) place = path.dirname(place);
  return place;
}

async function mayWrite(place: string): Promise<boolean> {
  return access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
}
