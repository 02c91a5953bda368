/**
 * The disk under the data folder: is there room for mail, are there inodes left, and does the file system keep what was
 * written. Reads only; the figures are those that the store goes by.
 */
import { statfs } from 'node:fs/promises';
import { nearestFolder } from './check-files.ts';
import { type CheckFinding, createFindings } from './finding.ts';

/** What `statfs` tells; injected for tests. */
export interface DiskFigures {
  /** The magic number of the file system (Linux). */
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  /** Blocks free for everybody. */
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

export interface DiskCheckDeps {
  /** Octets below which the relay takes no mail. */
  readonly floorBytes: number;
  readonly statfs?: (folder: string) => Promise<DiskFigures>;
}

const LOW_BYTES = 1024 * 1024 * 1024;
const LOW_INODES = 1000;
const WHY_TEMPORARY = 'Mail that was answered with 250 is gone after a restart of the machine or container.';
const WHY_REMOTE = 'Locks and fsync are not reliable there: the database can be damaged, and answered mail lost.';

/** File systems that do not keep, or do not lock (magic numbers of statfs(2)). */
const DOUBTFUL: ReadonlyMap<number, { readonly name: string; readonly why: string }> = new Map([
  [0x01021994, { name: 'tmpfs, in memory', why: WHY_TEMPORARY }],
  [0x858458f6, { name: 'ramfs, in memory', why: WHY_TEMPORARY }],
  [0x794c7630, { name: 'overlay, the writable layer of a container', why: WHY_TEMPORARY }],
  [0x6969, { name: 'NFS', why: WHY_REMOTE }],
  [0xff534d42, { name: 'CIFS', why: WHY_REMOTE }],
  [0xfe534d42, { name: 'SMB', why: WHY_REMOTE }],
  [0x517b, { name: 'SMB', why: WHY_REMOTE }],
  [0x01021997, { name: '9p, a folder of the host', why: WHY_REMOTE }],
  [0x65735546, { name: 'FUSE', why: WHY_REMOTE }],
  [0x00c36400, { name: 'Ceph', why: WHY_REMOTE }],
]);

/** Checks the disk that `folder`, which need not be there yet, is on. */
export async function checkDisk(folder: string, deps: DiskCheckDeps): Promise<readonly CheckFinding[]> {
  const found = createFindings('disk', folder);
  const disk = await (deps.statfs ?? statfs)(await nearestFolder(folder));
  const free = disk.bavail * disk.bsize;
  const share = disk.blocks === 0 ? 1 : disk.bavail / disk.blocks;
  const room = `${sizeText(free)} free (${Math.floor(share * 100)} %) on the disk of ${folder}`;
  const hint = 'Make room, or move `data` to a larger disk. What fills it: du -xh --max-depth=2 / | sort -h | tail';
  if (free < deps.floorBytes) {
    found.error('full', {
      message: `${room}: mail is taken from ${sizeText(deps.floorBytes)} on`,
      why: 'Every submission is answered with 452 until there is room.',
      hint,
    });
  } else if (free < LOW_BYTES) {
    found.warning('low', { message: room, why: `Below ${sizeText(deps.floorBytes)} no mail is taken (452).`, hint });
  } else found.ok(room);
  // Some file systems make inodes as they need them, and say that they have none.
  if (disk.files > 0 && disk.ffree < LOW_INODES) {
    found.error('inodes', {
      message: `${disk.ffree} of ${disk.files} inodes free on the disk of ${folder}`,
      why: 'No file can be made when there are none, however much space is left.',
      hint: 'Delete small files: du --inodes -x --max-depth=2 / | sort -n | tail',
    });
  }
  const doubtful = DOUBTFUL.get(disk.type);
  if (doubtful !== undefined) {
    found.warning('file-system', {
      message: `${folder} is on ${doubtful.name}`,
      why: doubtful.why,
      hint: 'Put `data` on a local disk; in a container, on a volume.',
    });
  }
  return found.list;
}

function sizeText(bytes: number): string {
  const megabytes = bytes / 1024 / 1024;
  return megabytes < 10_240 ? `${Math.floor(megabytes)} MB` : `${Math.floor(megabytes / 1024)} GB`;
}
