/** Opens the ways in over SMTP: the listeners for submitted mail, and those for reports about it. */
import type { Config } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import type { ReturnPaths } from '../feedback/return-path.ts';
import { createBounceListener } from '../intake/bounce-listener.ts';
import type { BounceSettings } from '../intake/bounce-settings.ts';
import { createCredentialCheck } from '../intake/credentials.ts';
import { createConnectionLimits } from '../intake/smtp-limits.ts';
import { createSmtpListener, type SmtpListener } from '../intake/smtp-listener.ts';
import type { SmtpSettings } from '../intake/smtp-settings.ts';
import type { Intake } from '../intake/submission.ts';
import type { FeedbackStore, HealthStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { loadTls } from './tls.ts';
import type { Undo } from './undo.ts';

/** Where they listen is as the config was at the start; the rest is read at each use. */
export interface DoorSettings {
  readonly config: Config;
  readonly submission: () => SmtpSettings;
  readonly bounces: () => BounceSettings;
  readonly credentials: () => Config['credentials'];
}

export interface DoorDeps {
  readonly intake: Intake;
  readonly feedback: FeedbackStore;
  readonly health: HealthStore;
  readonly paths: ReturnPaths;
  readonly tls: Certificate;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

type Certificate = Awaited<ReturnType<typeof loadTls>>;

export interface OpenDoor {
  readonly host: string;
  readonly port: number;
  readonly tls: string;
}

export interface Doors {
  /** In the order of the config. */
  readonly submission: readonly OpenDoor[];
  updateTls(tls: NonNullable<Certificate>): void;
  /** Takes no new connection, and lets messages under way have their answer. */
  stop(): Promise<void>;
}

/** Opens all of them; when one fails, `undo` closes the others. */
export async function openDoors(settings: DoorSettings, deps: DoorDeps, undo: Undo): Promise<Doors> {
  const { clock, log, metrics, tls } = deps;
  const { config } = settings;
  const shared = {
    tls,
    clock,
    log,
    metrics: {
      connection: (name: string, kind: string) => metrics.smtpConnection(name, kind),
      disconnection: (name: string) => metrics.smtpDisconnection(name),
      authFailure: (reason: string) => metrics.smtpAuthFailure(reason),
      refused: (reason: string) => metrics.smtpRefused(reason),
    },
  };
  const open: SmtpListener[] = [];
  const begin = async (listener: SmtpListener, mode: string, event: string): Promise<OpenDoor> => {
    await listener.start();
    undo.push(() => listener.stop());
    open.push(listener);
    log.info({ event, ...listener.address, tls: mode }, 'SMTP is open');
    return { ...listener.address, tls: mode };
  };

  const credentials = createCredentialCheck({ credentials: settings.credentials, clock, log });
  const limits = createConnectionLimits(settings.submission);
  const submission: OpenDoor[] = [];
  for (const listener of config.smtp.listeners) {
    const made = createSmtpListener({
      ...shared,
      listener,
      settings: settings.submission,
      credentials,
      intake: deps.intake,
      limits,
    });
    submission.push(await begin(made, listener.tls, 'smtp.listening'));
  }

  const bounceLimits = createConnectionLimits(() => settings.bounces().smtp);
  for (const listener of config.bounces.listeners) {
    const { feedback, health, paths } = deps;
    const made = createBounceListener({
      ...shared,
      listener,
      settings: settings.bounces,
      feedback,
      health,
      paths,
      limits: bounceLimits,
    });
    await begin(made, listener.tls, 'bounces.listening');
  }

  return {
    submission,
    updateTls(next) {
      for (const listener of open) listener.updateTls(next);
    },
    async stop() {
      await Promise.all(open.map((listener) => listener.stop()));
    },
  };
}
