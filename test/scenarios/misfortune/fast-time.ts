/**
 * Loaded into the relay before anything else (`--import`): its clocks and timers run `FAST_TIME` times as fast, so that limits
 * of a minute can be waited for. Nothing else of it changes.
 *
 * Every thread reads the same time, also over a restart: it is counted from `FAST_TIME_ORIGIN`. What the kernel and Node
 * time by themselves (TCP, keep-alive of HTTP) keeps its pace.
 */
const factor = Number(process.env['FAST_TIME']);
const origin = Number(process.env['FAST_TIME_ORIGIN']);
if (!(factor >= 1) || !(origin > 0)) throw new Error('fast-time needs FAST_TIME and FAST_TIME_ORIGIN');

const wallClock = Date.now.bind(Date);
const monotonic = performance.now.bind(performance);
const timer = globalThis.setTimeout;

Date.now = () => Math.round(origin + (wallClock() - origin) * factor);
performance.now = () => monotonic() * factor;
globalThis.setTimeout = Object.assign(
  (handler: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => timer(handler, ms / factor, ...args),
  timer,
);
