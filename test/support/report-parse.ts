/** Reads a delivery report with Python's email package (Debian's python3), a parser that shares nothing with ours. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { needProgram } from './relay.ts';

const run = promisify(execFile);

const SCRIPT = `
import json, sys
from email import message_from_bytes, policy
m = message_from_bytes(bytes.fromhex(sys.argv[1]), policy=policy.default)
def fields(part):
    return [[name.lower(), str(value)] for name, value in part.items()]
def defects(part):
    found = [repr(d) for d in part.defects] + [repr(d) for v in part.values() for d in v.defects]
    return found + [d for p in (part.get_payload() if part.is_multipart() else []) for d in defects(p)]
parts = m.get_payload()
last = parts[2] if len(parts) > 2 else None
print(json.dumps({
    'header': fields(m),
    'type': m.get_content_type(),
    'reportType': m.get_param('report-type'),
    'parts': [part.get_content_type() for part in parts],
    'text': parts[0].get_content(),
    'status': [dict(fields(group)) for group in parts[1].get_payload()],
    'returned': None if last is None else (last.get_payload()[0].as_string() if last.get_content_type() == 'message/rfc822' else last.as_string()),
    'defects': defects(m),
}))
`;

export interface ParsedReport {
  /** Fields of its header; names in lower case. */
  readonly header: readonly (readonly [name: string, value: string])[];
  readonly type: string;
  readonly reportType: string;
  readonly parts: readonly string[];
  /** The part for people. */
  readonly text: string;
  /** Field groups of the machine-readable part: the message's, then one per recipient. */
  readonly status: readonly Readonly<Record<string, string>>[];
  /** The third part: the message, or its header. */
  readonly returned: string | null;
  /** All that Python finds wrong with it. */
  readonly defects: readonly string[];
}

/** Parses `content`, a whole message. */
export async function parseReport(content: Buffer): Promise<ParsedReport> {
  needProgram('/usr/bin/python3', 'python3');
  const { stdout } = await run('/usr/bin/python3', ['-c', SCRIPT, content.toString('hex')]);
  const parsed: ParsedReport = JSON.parse(stdout);
  return parsed;
}
