/**
 * SMTP replies as a client receives them (RFC 5321, section 4.2; enhanced codes of RFC 2034 and RFC 3463).
 *
 * The text is the remote side's own and not cleaned: `cleanRemoteText` comes before any log or record.
 */

export interface SmtpReply {
  /** 200 to 599. */
  readonly code: number;
  /** `5.1.1`, when the reply has one of its own class; else null. */
  readonly enhanced: string | null;
  /** All lines without codes, joined by spaces. */
  readonly text: string;
}

/** Characters of a reply that are looked at; a longer one is cut. */
const MAX_REPLY_LENGTH = 16_384;
const LINE = /^([2-5][0-9]{2})(?:([ -])(.*))?$/;
const ENHANCED = /^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)/;

/**
 * Reads one reply of one or several lines, separated by LF or CRLF; null when it is not a reply: a line without a code,
 * codes that differ from line to line.
 */
export function parseReply(text: string): SmtpReply | null {
  const lines = text.slice(0, MAX_REPLY_LENGTH).trim().split(/\r?\n/);
  let code: string | null = null;
  let enhanced: string | null = null;
  const texts: string[] = [];
  for (const line of lines) {
    const match = LINE.exec(line);
    const lineCode = match?.[1];
    if (lineCode === undefined || (code !== null && lineCode !== code)) return null;
    code = lineCode;
    const lineText = match?.[3] ?? '';
    const found = ENHANCED.exec(lineText);
    const lineEnhanced = found?.[1];
    if (found !== null && lineEnhanced !== undefined && lineEnhanced[0] === code[0]) {
      enhanced ??= lineEnhanced;
      texts.push(lineText.slice(found[0].length));
    } else {
      texts.push(lineText);
    }
  }
  if (code === null) return null;
  return {
    code: Number(code),
    enhanced,
    text: texts
      .map((lineText) => lineText.trim())
      .filter((lineText) => lineText !== '')
      .join(' '),
  };
}
