/**
 * `/docs`: the OpenAPI document as a page to read. Made here, once, out of the document alone: no script, nothing from other sites,
 * its style sheet from this server.
 */
import { z } from 'zod';
import { codes, PROBLEMS } from './problem.ts';

const schema = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  required: z.array(z.string()).optional(),
  get properties(): z.ZodOptional<z.ZodRecord<z.ZodString, typeof schema>> {
    return z.record(z.string(), schema).optional();
  },
  get items(): z.ZodOptional<typeof schema> {
    return schema.optional();
  },
  get anyOf(): z.ZodOptional<z.ZodArray<typeof schema>> {
    return z.array(schema).optional();
  },
});
type Schema = z.output<typeof schema>;

const content = z.record(z.string(), z.object({ schema }));
const operation = z.object({
  operationId: z.string(),
  tags: z.array(z.string()),
  summary: z.string(),
  description: z.string().optional(),
  security: z.array(z.object({ token: z.array(z.string()) })),
  parameters: z
    .array(
      z.object({ name: z.string(), in: z.string(), required: z.boolean(), description: z.string().optional(), schema }),
    )
    .optional(),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content: content.optional() })),
});
const document = z.object({
  info: z.object({ title: z.string(), version: z.string(), description: z.string() }),
  tags: z.array(z.object({ name: z.string(), description: z.string() })),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), schema) }),
});

export const DOCS_STYLE = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, pre, .call { font-family: ui-monospace, monospace; font-size: 0.9em; }
h2 { border-bottom: 1px solid; margin-top: 3rem; }
h3 { margin: 2.5rem 0 0; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; }
.scope { border: 1px solid; border-radius: 0.5rem; font-size: 0.8rem; padding: 0 0.5rem; }
@media (max-width: 40rem) { table { display: block; overflow-x: auto; } .call, h3 { overflow-wrap: anywhere; } }
`;

/** The page for the OpenAPI document `text`, as HTML. */
export function docsPage(text: string): string {
  const { info, tags, paths, components } = document.parse(JSON.parse(text));
  const calls = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => ({ path, method: method.toUpperCase(), ...call })),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${plain(info.title)}: API</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<h1>${plain(info.title)} ${plain(info.version)}: API</h1>
${info.description
  .split('\n\n')
  .map((part) => `<p>${rich(part)}</p>`)
  .join('\n')}
<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
<nav><table>
${calls.map(({ operationId, method, path, summary }) => `<tr><td class="call"><a href="#${operationId}">${method} ${plain(path)}</a></td><td>${rich(summary)}</td></tr>`).join('\n')}
<tr><td><a href="#problems">Problems</a></td><td>Every code of an error</td></tr>
</table></nav>
${tags
  .filter(({ name }) => calls.some((call) => call.tags.includes(name)))
  .map(({ name, description }) => {
    const own = calls.filter((call) => call.tags.includes(name));
    return `<h2>${plain(name)}</h2>\n<p>${rich(description)}</p>\n${own.map(callSection).join('\n')}`;
  })
  .join('\n')}
<h2>Objects</h2>
${Object.entries(components.schemas).map(objectSection).join('\n')}
<h2 id="problems">Problems</h2>
<table>
<tr><th>code</th><th>status</th><th>title</th><th>meaning</th></tr>
${codes()
  .map((code) => {
    const { status, title, meaning } = PROBLEMS[code];
    return `<tr id="problem-${code}"><td><code>${code}</code></td><td>${status}</td><td>${plain(title)}</td><td>${rich(meaning)}</td></tr>`;
  })
  .join('\n')}
</table>
</body>
</html>
`;
}

interface Call extends z.output<typeof operation> {
  readonly path: string;
  readonly method: string;
}

function callSection(call: Call): string {
  const { operationId, method, path, summary, description, security, parameters = [], requestBody, responses } = call;
  const scopes = security.flatMap(({ token }) => token).map((scope) => `<span class="scope">${plain(scope)}</span>`);
  const rows = [
    ...parameters.map((one) => row(one.name, one.in, one.schema, one.required, one.description)),
    ...Object.entries(requestBody?.content ?? {}).map(([type, body]) => row(type, 'body', body.schema, true)),
  ];
  const answers = Object.entries(responses).map(([status, answer]) => {
    const shown = Object.entries(answer.content ?? {}).map(
      ([type, body]) => `${typeOf(body.schema)} as <code>${plain(type)}</code>`,
    );
    return `<tr><td>${status}</td><td>${shown.join(', ')}</td><td>${rich(answer.description)}</td></tr>`;
  });
  return `<h3 id="${operationId}"><span class="call">${method} ${plain(path)}</span> ${scopes.join(' ')}</h3>
<p>${rich(summary)}.${description === undefined ? '' : ` ${rich(description)}`}</p>
${rows.length === 0 ? '' : `<table>\n<tr><th>name</th><th>in</th><th>type</th><th></th><th></th></tr>\n${rows.join('\n')}\n</table>`}
<details><summary>Answers</summary><table>
${answers.join('\n')}
</table></details>`;
}

function row(name: string, place: string, of: Schema, required: boolean, description?: string): string {
  const words = description ?? of.description ?? '';
  return `<tr><td><code>${plain(name)}</code></td><td>${plain(place)}</td><td>${typeOf(of)}</td><td>${required ? 'required' : ''}</td><td>${rich(words)}</td></tr>`;
}

function objectSection([name, of]: readonly [string, Schema]): string {
  const rows = Object.entries(of.properties ?? {}).map(([key, value]) => {
    const optional = of.required?.includes(key) === true ? '' : 'may be absent';
    const parts = Object.entries(value.properties ?? value.items?.properties ?? {}).map(([inner]) => inner);
    const inside = parts.length === 0 ? '' : ` <code>{ ${plain(parts.join(', '))} }</code>`;
    return `<tr><td><code>${plain(key)}</code></td><td>${typeOf(value)}${inside}</td><td>${optional}</td><td>${rich(value.description ?? '')}</td></tr>`;
  });
  const table = rows.length === 0 ? `<p>${typeOf(of)}</p>` : `<table>\n${rows.join('\n')}\n</table>`;
  return `<h3 id="object-${plain(name)}">${plain(name)}</h3>\n<p>${rich(of.description ?? '')}</p>\n${table}`;
}

function typeOf(of: Schema): string {
  if (of.$ref !== undefined) {
    const name = plain(of.$ref.split('/').at(-1) ?? '');
    return `<a href="#object-${name}">${name}</a>`;
  }
  if (of.anyOf !== undefined) return of.anyOf.map(typeOf).join(' or ');
  if (of.enum !== undefined) return of.enum.map((value) => `<code>${plain(JSON.stringify(value))}</code>`).join(' ');
  if (of.items !== undefined) return `list of ${typeOf(of.items)}`;
  const type = of.type === undefined ? 'anything' : [of.type].flat().join(' or ');
  return plain(of.format === undefined ? type : `${type} (${of.format})`);
}

/** `text` as HTML, with what stands between backticks as code. */
function rich(text: string): string {
  return plain(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

function plain(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
