/** Octets that come in pieces, cut into lines of text. */

/** No line of the log is as long; what is longer is thrown away up to its end. */
export const MAX_LINE_BYTES: number = 1024 * 1024;

export interface LineSplitter {
  /** The lines that `bytes` complete, without their ends; null stands for one that was too long. */
  push(bytes: Uint8Array): readonly (string | null)[];
  /** What came after the last line end, which is no whole line yet; forgotten hereafter. */
  rest(): string;
}

/** A splitter at LF; a CR before it goes too. Octets that are not UTF-8 become replacement characters. */
export function createLineSplitter(): LineSplitter {
  let parts: Uint8Array[] = [];
  let held = 0;
  let tooLong = false;
  const take = (): string => {
    const text = Buffer.concat(parts).toString('utf8');
    parts = [];
    held = 0;
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  };
  const hold = (bytes: Uint8Array): void => {
    if (tooLong) return;
    parts.push(bytes);
    held += bytes.length;
    if (held <= MAX_LINE_BYTES) return;
    tooLong = true;
    parts = [];
    held = 0;
  };
  return {
    push(bytes) {
      const lines: (string | null)[] = [];
      let from = 0;
      for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
        hold(bytes.subarray(from, end));
        lines.push(tooLong ? null : take());
        tooLong = false;
        from = end + 1;
      }
      if (from < bytes.length) hold(Uint8Array.from(bytes.subarray(from)));
      return lines;
    },
    rest() {
      tooLong = false;
      return take();
    },
  };
}
