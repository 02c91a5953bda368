/**
 * Space kept back on the disk, so that results can still be recorded when everything else has filled it.
 *
 * The file holds random bytes, so that no file system can compress or thin it away. It is removed when a commit meets a full
 * disk, and made again when there is room for it above the floor. Losing it loses nothing.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../../core/errors.ts';

const RESERVE_BYTES = 8 * 1024 * 1024;

export interface Reserve {
  /** Gives the space free. */
  spend(): void;
  /** Makes the reserve when it is not there and leaves `floorBytes` free; returns the octets free afterwards. */
  restore(floorBytes: number): number;
}

/** The reserve in `file`. */
export function createReserve(file: string): Reserve {
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize;
  };
  const remove = (): void => rmSync(file, { force: true });
  return {
    spend: remove,
    restore(floorBytes) {
      if (existsSync(file) || freeBytes() < floorBytes + RESERVE_BYTES) return freeBytes();
      try {
        writeFileSync(file, randomFillSync(new Uint8Array(RESERVE_BYTES)), { mode: 0o600 });
      } catch (thrown) {
        // Half a reserve is none. A disk that filled up meanwhile shows in the octets free.
        remove();
        if (!/^(?:ENOSPC|EDQUOT)$/.test(errorCode(thrown) ?? '')) throw thrown;
      }
      return freeBytes();
    },
  };
}
