/**
 * The shipped alert rules and Grafana dashboard against the code: every metric and label that they name exists, every
 * command that they give is one of the program's, and Prometheus' own tool accepts rules, queries and a real scrape.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { buildProgram } from '../../src/cli/program.ts';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { createTestIo } from '../cli/support.ts';
import { createRelayHome, needProgram, type RelayHome, type RelayProcess, until } from '../support/relay.ts';
import { sendReset } from '../support/send-reset.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const RULES = path.join(ROOT, 'config/prometheus-alerts.yaml');
const DASHBOARD = path.join(ROOT, 'config/grafana-dashboard.json');
const RULE_TESTS = path.join(import.meta.dirname, 'prometheus-alerts.yaml');
/** What Prometheus itself adds to every series. */
const SCRAPE_LABELS = ['job', 'instance'];

const promtool = (...args: readonly string[]): string =>
  execFileSync(needProgram('/usr/bin/promtool', 'prometheus'), args, { encoding: 'utf8', stdio: 'pipe' });

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const rules = (
  parse(readFileSync(RULES, 'utf8')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] }
).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
const drawn = dashboard.panels.filter((panel) => panel.type !== 'row');
const queries = drawn.flatMap((panel) => (panel.targets ?? []).map((target) => target.expr));

/** The labels of each metric by every name that its series have. */
const LABELS_BY_SERIES = new Map<string, readonly string[]>(
  Object.values(METRICS).flatMap(({ name, type, labels }): [string, readonly string[]][] =>
    type === 'histogram'
      ? [
          [`${name}_bucket`, [...labels, 'le']],
          [`${name}_sum`, labels],
          [`${name}_count`, labels],
        ]
      : [[name, labels]],
  ),
);

/** What of a PromQL expression does not exist here: metrics, labels asked for, labels grouped by. */
function strangersIn(expr: string, legend = ''): readonly string[] {
  const found: string[] = [];
  const inUse = new Set<string>(SCRAPE_LABELS);
  for (const [, name = '', selector = ''] of expr.matchAll(/\b((?:leadpush|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)) {
    const labels = LABELS_BY_SERIES.get(name);
    if (labels === undefined) {
      found.push(name);
      continue;
    }
    for (const label of labels) inUse.add(label);
    for (const [, asked = ''] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
      if (![...labels, ...SCRAPE_LABELS].includes(asked)) found.push(`${name}{${asked}}`);
    }
  }
  const grouped = [...expr.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );
  const shown = [...legend.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label = '']) => label);
  for (const label of [...grouped, ...shown]) if (!inUse.has(label)) found.push(`by ${label}`);
  return found;
}

test.each([
  ['leadpush_nothing_total', ['leadpush_nothing_total']],
  ['leadpush_deliveries', ['leadpush_deliveries']],
  ['leadpush_time_to_delivered_seconds', ['leadpush_time_to_delivered_seconds']],
  ['sum by (route) (leadpush_deliveries_total{recipient="ann"})', ['leadpush_deliveries_total{recipient}']],
  ['sum by (recipient) (leadpush_deliveries_total{tag=~"a"})', ['by recipient']],
  ['sum by (job, tag) (rate(leadpush_deliveries_total{outcome!="delivered"}[5m]))', []],
])('a strange name in %s is noticed', (expr, strangers) => {
  expect(strangersIn(expr)).toEqual(strangers);
});

describe('the alert rules', () => {
  test('name metrics and labels that exist', () => {
    expect(rules.length).toBeGreaterThan(10);
    for (const { alert, expr, annotations } of rules) {
      expect(strangersIn(expr, annotations.summary + annotations.description), alert).toEqual([]);
    }
  });

  test('say in a sentence what is wrong, and which command tells more', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(labels.severity, alert).toMatch(/^(?:critical|warning)$/);
      expect(annotations.summary, alert).toMatch(/\S{3}/);
      expect(annotations.description, alert).toMatch(/`[^`]+`/);
    }
    expect(new Set(rules.map((rule) => rule.alert)).size).toBe(rules.length);
  });

  test('give commands and options that the program has', () => {
    const program = buildProgram(createTestIo());
    const given = rules.flatMap(({ annotations }) => [
      ...annotations.description.matchAll(/`leadpush-relay ([^`]+)`/g),
    ]);
    expect(given.length).toBeGreaterThan(8);
    for (const [, line = ''] of given) {
      const [name = '', ...words] = line.split(' ');
      const command = program.commands.find((one) => one.name() === name);
      expect(command, line).toBeDefined();
      for (const word of words.filter((one) => one.startsWith('-'))) {
        expect(
          [...(command?.options ?? []), ...program.options].map((option) => option.long),
          line,
        ).toContain(word);
      }
    }
  });

  test('pass promtool, and each fires on what it is for and on nothing less', () => {
    expect(promtool('check', 'rules', RULES)).toContain('SUCCESS');
    expect(promtool('test', 'rules', RULE_TESTS)).toContain('SUCCESS');
    const tested = readFileSync(RULE_TESTS, 'utf8');
    expect(rules.filter(({ alert }) => !tested.includes(`"${alert}"`)).map(({ alert }) => alert)).toEqual([]);
  });
});

describe('the Grafana dashboard', () => {
  test('asks for metrics and labels that exist', () => {
    for (const panel of drawn) {
      for (const { expr, legendFormat } of panel.targets ?? []) {
        expect(strangersIn(expr, legendFormat), panel.title).toEqual([]);
      }
    }
  });

  test('shows every metric of the relay but what only joins others', () => {
    const all = queries.join('\n');
    const left = Object.values(METRICS)
      .filter(({ name, type }) => !all.includes(type === 'histogram' ? `${name}_bucket` : `${name}{`))
      .map(({ name }) => name);
    expect(left).toEqual([
      'leadpush_commit_operations',
      'leadpush_smtp_connections_total',
      'leadpush_http_request_seconds',
      'leadpush_config_last_reload_successful',
      'leadpush_build_info',
      'process_start_time_seconds',
      'process_open_fds',
      'process_max_fds',
    ]);
  });

  test('has the shape that Grafana loads: a panel for each title, data from the chosen source, a place of its own', () => {
    expect(dashboard).toMatchObject({ uid: 'leadpush-relay', title: 'Leadpush Relay' });
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance']);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), `${title} lies over another panel`).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
    for (const panel of drawn) {
      expect(panel.type, panel.title).toMatch(/^(?:stat|timeseries)$/);
      expect(panel.description, panel.title).toMatch(/\.$/);
      expect(panel.datasource, panel.title).toEqual({ type: 'prometheus', uid: '${datasource}' });
      expect(panel.fieldConfig?.defaults.unit, panel.title).toBeTruthy();
      const refIds = (panel.targets ?? []).map(({ refId }) => refId);
      expect(refIds.length, panel.title).toBeGreaterThan(0);
      expect(new Set(refIds).size, panel.title).toBe(refIds.length);
    }
  });

  test('names alerts that there are', () => {
    const named = drawn.flatMap(({ description = '' }) => description.match(/\bLeadpush\w+/g) ?? []);
    expect(named.length).toBeGreaterThan(4);
    expect(rules.map(({ alert }) => alert)).toEqual(expect.arrayContaining(named));
  });

  test('asks in PromQL that Prometheus can read', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'relay-promql-'));
    try {
      const file = path.join(folder, 'queries.yaml');
      const plain = queries.map((expr) =>
        expr.replaceAll(/\$__(?:rate_interval|range|interval)/g, '5m').replaceAll(/\$(?:job|instance)/g, '.*'),
      );
      expect(plain.join('\n')).not.toContain('$');
      const recorded = plain.map((expr, index) => ({ record: `query_${index}`, expr }));
      writeFileSync(file, stringify({ groups: [{ name: 'queries', rules: recorded }] }));
      expect(promtool('check', 'rules', file)).toContain(`${queries.length} rules found`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a scrape of a running relay', () => {
  let home: RelayHome;
  let relay: RelayProcess;
  let text = '';

  beforeAll(async () => {
    home = await createRelayHome();
    relay = await home.start();
    await sendReset(relay.smtpPort);
    await relay.line((line) => line['event'] === 'message.delivered');
    const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text();
    await until(async () => (text = await scrape()).includes('outcome="delivered"} 1'), 'a delivery that counts');
  });
  afterAll(async () => {
    await relay.stop();
    await home.remove();
  });

  test('passes promtool without a remark', () => {
    const output = execFileSync(needProgram('/usr/bin/promtool', 'prometheus'), ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    expect(output).toBe('');
  });

  test('has no series and no label that is not published', () => {
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(series.length).toBeGreaterThan(100);
    for (const line of series) {
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? [^ ]+$/.exec(line) ?? [];
      const known = LABELS_BY_SERIES.get(name);
      expect(known, line).toBeDefined();
      for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) expect(known, line).toContain(label);
    }
  });

  test('holds no recipient, sender or id', () => {
    expect(text).not.toMatch(/example\.(?:net|com)|msg_|dlv_|evt_|@/);
  });

  test('tells what it knows from the start: store, files, routes, certificate', () => {
    expect(text).toMatch(/^leadpush_store_accepting 1$/m);
    expect(text).toMatch(/^leadpush_route_up\{route="sandbox"\} 1$/m);
    expect(text).toMatch(/^leadpush_database_bytes [1-9]\d{3,}$/m);
    expect(text).toMatch(/^leadpush_content_keys\{state="used"\} 1$/m);
    expect(text).toMatch(/^leadpush_event_seq 2$/m);
    expect(text).toMatch(/^leadpush_smtp_connections_active\{listener="127\.0\.0\.1:\d+"\} \d$/m);
    expect(Number(/^leadpush_tls_certificate_expiry_timestamp_seconds (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(2e9);
  });
});
