/**
 * The subject as tag rules compare it. It is read for that alone, at acceptance, and kept nowhere: subjects hold codes.
 *
 * Bounded: a field of more than 4096 octets, and a subject of more than 500 characters, are not compared at all. Decoded
 * (RFC 2047), in Unicode form NFC, each run of white space as one space, nothing around it.
 */
import { decodeWords } from '../mail/encoded-words.ts';
import { fieldsNamed, fieldValue, type HeaderField } from '../mail/header.ts';

const MAX_FIELD_OCTETS = 4096;
const MAX_CHARS = 500;

/** The subject for comparison; null when there is none, more than one, or one that is too long. */
export function readSubject(bytes: Uint8Array, fields: readonly HeaderField[]): string | null {
  const [field, second] = fieldsNamed(fields, 'subject');
  if (field === undefined || second !== undefined) return null;
  if (field.end - field.valueStart > MAX_FIELD_OCTETS) return null;
  const subject = decodeWords(fieldValue(bytes, field)).normalize('NFC').replace(/\s+/g, ' ').trim();
  return subject.length > MAX_CHARS ? null : subject;
}
