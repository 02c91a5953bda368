/**
 * The composition root: opens what is concrete, hands each room its slice, starts in order, stops in reverse.
 *
 *   start   config -> log -> keys -> store -> queue -> http -> smtp listeners
 *   stop    smtp listeners (sessions in DATA get their answer) -> queue (attempts past their dot finish) -> http -> store -> log
 *
 * Nothing else opens a store, a transport or a socket. The process's own end (signals, exit codes) is `main.ts`'s.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createHttpServer } from './api/server.ts';
import { formatFindings, loadConfig } from './config/load.ts';
import { compareForReload } from './config/reload.ts';
import type { Config } from './config/types.ts';
import { errorText, RelayError } from './core/errors.ts';
import { createIds } from './core/ids.ts';
import { type CancelTimer, type Clock, systemClock } from './core/time.ts';
import { createTransport } from './delivery/create-transport.ts';
import { createIntake } from './intake/accept.ts';
import { ensureSelfSigned } from './intake/certificate.ts';
import { createCredentialCheck } from './intake/credentials.ts';
import { createSmtpFront, type SmtpFront } from './intake/smtp-listener.ts';
import { createContentCache } from './queue/content-cache.ts';
import { createScheduler, type Lane } from './queue/scheduler.ts';
import { makeMissingKeys } from './signing/generate.ts';
import { createSigner } from './signing/sign.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createPinoLog } from './telemetry/pino-log.ts';
