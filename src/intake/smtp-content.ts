/**
 * The content of one DATA: finds its end, takes the dots out, and keeps the octets.
 *
 * Only CR LF . CR LF ends a message, wherever the network cut the stream. Every other spelling of it (bare LF, bare CR, NUL
 * in between) is content: two servers can then not disagree about where a message ends (SMTP smuggling, CVE-2023-51764).
 * Bad line ends are not judged here; the parser of the message refuses them.
 *
 * A dot at the start of a line is dropped, whatever follows it (RFC 5321, section 4.5.2). Past its limit the content is let
 * go at once, its memory given back, and the rest only counted. Octets are not copied while they arrive, unless they arrive in crumbs.
 */
import type { ContentMemory } from './smtp-limits.ts';

/** Why the content was let go. */
export type ContentFault = 'too-big' | 'no-room';

export interface ContentOptions {
  readonly maxBytes: number;
  /** Where its memory comes from; who takes the content releases it afterwards. */
  readonly memory: ContentMemory;
}

type State =
  | 'text'
  /** After a CR in the text. */
  | 'cr'
  /** At the start of a line. */
  | 'line'
  /** After a dot at the start of a line; the dot is not content. */
  | 'dot'
  /** After that dot and a CR, which is content only when no LF follows. */
  | 'dot-cr';

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LINE_END_DOT = Buffer.from('\r\n.');
const ONE_CR = Buffer.from('\r');
/** So many pieces of so few octets are joined, or a message sent octet by octet would take a hundred times its size. */
const CRUMBS = 256;
const CRUMBS_BYTES = 256 * 1024;

export class ContentCollector {
  readonly #options: ContentOptions;
  #state: State = 'line';
  #pieces: Uint8Array[] = [];
  #crumbs: Uint8Array[] = [];
  #crumbsBytes = 0;
  #size = 0;
  #fault: ContentFault | null = null;

  constructor(options: ContentOptions) {
    this.#options = options;
  }

  /** Octets of content so far, kept or not. */
  get size(): number {
    return this.#size;
  }

  /** Set once the content went over a limit: it is no longer kept. */
  get fault(): ContentFault | null {
    return this.#fault;
  }

  /** Takes what arrived; returns how many octets of `chunk` belong to this message when it ends in it, or -1. */
  feed(chunk: Buffer): number {
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      const octet = chunk[at];
      switch (this.#state) {
        case 'text': {
          const hit = chunk.indexOf(LINE_END_DOT, at);
          if (hit === -1) {
            this.#state = endState(chunk, at);
            at = chunk.length;
          } else {
            this.#keep(chunk, start, hit + 2);
            at = start = hit + LINE_END_DOT.length;
            this.#state = 'dot';
          }
          break;
        }
        case 'cr':
          if (octet === LF) at++;
          this.#state = octet === LF ? 'line' : 'text';
          break;
        case 'line':
          if (octet === DOT) {
            this.#keep(chunk, start, at);
            start = ++at;
          }
          this.#state = octet === DOT ? 'dot' : 'text';
          break;
        case 'dot':
          if (octet === CR) start = ++at;
          this.#state = octet === CR ? 'dot-cr' : 'text';
          break;
        case 'dot-cr':
          if (octet === LF) return at + 1;
          this.#keep(ONE_CR, 0, 1);
          this.#state = 'text';
          break;
      }
    }
    this.#keep(chunk, start, chunk.length);
    return -1;
  }

  /** The whole content as one array; it may share memory with what was fed. */
  take(): Uint8Array {
    const pieces = [...this.#pieces, ...this.#crumbs];
    this.#pieces = [];
    this.#crumbs = [];
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const bytes = end - start;
    if (bytes <= 0) return;
    this.#size += bytes;
    if (this.#fault !== null) return;
    if (this.#size > this.#options.maxBytes) return this.#letGo('too-big');
    if (!this.#options.memory.reserve(bytes)) return this.#letGo('no-room');
    this.#crumbs.push(bytes === chunk.length ? chunk : chunk.subarray(start, end));
    this.#crumbsBytes += bytes;
    if (this.#crumbs.length < CRUMBS) return;
    if (this.#crumbsBytes < CRUMBS_BYTES) this.#pieces.push(Buffer.concat(this.#crumbs));
    else this.#pieces.push(...this.#crumbs);
    this.#crumbs = [];
    this.#crumbsBytes = 0;
  }

  #letGo(fault: ContentFault): void {
    this.#fault = fault;
    this.#pieces = [];
    this.#crumbs = [];
    this.#options.memory.release();
  }
}

/** Whether `content` holds a NUL, a CR without LF, or an LF without CR: what smuggling is made of. */
export function hasBadLineEnds(content: Uint8Array): boolean {
  if (content.includes(0)) return true;
  for (let at = content.indexOf(LF); at !== -1; at = content.indexOf(LF, at + 1))
    if (content[at - 1] !== CR) return true;
  for (let at = content.indexOf(CR); at !== -1; at = content.indexOf(CR, at + 1))
    if (content[at + 1] !== LF) return true;
  return false;
}

/** The state after text that holds no CR LF dot from `from` on. */
function endState(chunk: Buffer, from: number): State {
  const last = chunk.length - 1;
  if (chunk[last] === CR) return 'cr';
  return chunk[last] === LF && last > from && chunk[last - 1] === CR ? 'line' : 'text';
}
