/**
 * The configuration as the program uses it: validated, defaults filled in, durations in milliseconds, sizes in octets,
 * paths absolute, secrets resolved. `config/load` makes it from YAML; nothing else does.
 */
import type { EnvelopeAddress } from '../core/address.ts';
import type { EventType } from '../core/event.ts';
import type { Priority } from '../core/message.ts';
import type { Pattern } from './pattern.ts';

export interface Config {
  /** Absolute path of the file that it was read from. */
  readonly file: string;
  readonly hostname: string;
  /** Absolute path of the data folder. */
  readonly dataDir: string;
  readonly store: { readonly kind: 'sqlite' };
  /**
   * Keys that content is encrypted under, base64 of 32 octets each: the first encrypts, all of them open. Empty: the one in
   * the data folder, which is made at the first start.
   */
  readonly contentKeys: readonly string[];
  readonly retention: RetentionConfig;
  readonly smtp: SmtpConfig;
  readonly http: HttpConfig;
  readonly credentials: readonly CredentialConfig[];
  readonly senders: readonly SenderConfig[];
  readonly unknownSenders: 'reject' | 'unsigned';
  readonly tags: ReadonlyMap<string, TagConfig>;
  readonly routes: ReadonlyMap<string, RouteConfig>;
  readonly rules: readonly RuleConfig[];
  readonly retry: RetryConfig;
  readonly webhooks: readonly WebhookConfig[];
  readonly bounces: BouncesConfig;
  readonly log: LogConfig;
}

export interface RetentionConfig {
  /** Content of settled messages is kept this long; 0 (`until-settled`) means it goes with the last final state. */
  readonly contentMs: number;
  /** Content of messages captured by a sandbox route. */
  readonly sandboxMs: number;
  /** Messages, deliveries, attempts and events after the last final state. */
  readonly eventsMs: number;
}

export type ListenerTls = 'none' | 'starttls' | 'starttls-required' | 'implicit';

export interface ListenerConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly tls: ListenerTls;
}

export interface SmtpConfig {
  readonly listeners: readonly ListenerConfig[];
  /** Absolute paths; null: a self-signed certificate is made in the data folder (loopback listeners only). */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly trustedNetworks: readonly string[];
  readonly maxMessageBytes: number;
  readonly maxRecipients: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
}

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly tokens: readonly TokenConfig[];
}

/** Before the name of a token that submits under a name of its own. */
export const TOKEN_PREFIX = 'token:';

export const TOKEN_SCOPES = ['read', 'send', 'admin'] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

export interface TokenConfig {
  readonly name: string;
  /** Lower-case hex SHA-256 of the token, without the `sha256:` in front. */
  readonly sha256: string;
  readonly scopes: ReadonlySet<TokenScope>;
  /** Username of the credential that it submits as; null: it has a name of its own, and may use any configured sender. */
  readonly credential: string | null;
}

export interface CredentialConfig {
  readonly username: string;
  readonly password: ScryptHash;
  /** Patterns for From and envelope senders: `a@example.com`, `*@example.com`, `*@*.example.com`, `*`. Empty: any configured sender. */
  readonly from: readonly string[];
  /** Client networks in CIDR form from which it may log in. Empty: any. */
  readonly networks: readonly string[];
  /** Tag of its mail when nothing else gives one. */
  readonly tag: string | null;
  readonly headers: {
    /** `X-Leadpush-*` headers it may use: all, or the named ones in lower case without the `x-leadpush-` in front. */
    readonly allow: 'all' | ReadonlySet<string>;
    /** Services whose header names are read, and taken out, as our own are. */
    readonly aliases: ReadonlySet<AliasFamily>;
  };
  /** At most so many deliveries; what is over it is throttled. null: no limit. */
  readonly rate: RateConfig | null;
}

/** What of a credential decides about mail. A token of the API without a credential submits under one of its own. */
export type Identity = Omit<CredentialConfig, 'password' | 'networks'>;

/** Services whose header names can stand for ours. */
export const ALIAS_FAMILIES = ['postmark', 'ses', 'mailgun', 'symfony', 'postal'] as const;
export type AliasFamily = (typeof ALIAS_FAMILIES)[number];

/** A parsed `scrypt:N:r:p:salt:hash` (salt and hash in base64). */
export interface ScryptHash {
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export interface SenderConfig {
  /** Lower case, A-labels. */
  readonly domain: string;
  readonly dkim: readonly DkimKeyConfig[];
  /** Domain of the VERP return path, lower case, A-labels; null: the app's own envelope sender is kept. */
  readonly returnPath: string | null;
}

export interface DkimKeyConfig {
  readonly selector: string;
  /** Absolute path of a PEM private key, RSA of 2048 bits or more, or Ed25519. */
  readonly key: string;
}

export interface TagConfig {
  readonly name: string;
  readonly priority: Priority;
  /** null: no TTL of its own. */
  readonly ttlMs: number | null;
  /** Not accepted by the next hop so long after acceptance: `message.delayed`, once. null: never. */
  readonly delayedAfterMs: number | null;
  /** What a newer message replaces: any with this tag to the same recipient, those with the same collapse key, nothing. */
  readonly collapse: 'recipient' | 'key' | 'none';
  readonly throttle: ThrottleConfig | null;
  /** Whether the suppression list counts for this mail. */
  readonly suppression: 'bypass' | 'apply';
  /** Whether such mail restores access to an account: a recovery tag, or the preset of one. The recovery tags are always in the config. */
  readonly recovery: boolean;
  /** Mail without a tag of its own gets this one when one of these holds. */
  readonly match: readonly TagMatch[];
  /** The only sender that such mail may have, or the one it gets; null: any that the credential may use. */
  readonly from: TagFrom | null;
  /** null: links are not looked at. */
  readonly links: LinksConfig | null;
}

/** What must hold, all of it; at least one of the three is given. */
export interface TagMatch {
  readonly credential: readonly string[] | null;
  /** Patterns as in `credentials[].from`, for the address in From. */
  readonly from: readonly string[] | null;
  readonly subject: SubjectMatch | null;
}

export type SubjectMatch =
  | { readonly kind: 'exact' | 'contains'; readonly text: string }
  | { readonly kind: 'pattern'; readonly pattern: Pattern };

export interface TagFrom {
  /** Without display name; domain as A-labels. */
  readonly address: EnvelopeAddress;
  /** Empty: none. */
  readonly name: string;
  readonly mode: 'require' | 'rewrite';
  /** `rewrite`: whether the app's From becomes Reply-To where there is none. */
  readonly keepReplyTo: boolean;
}

export interface LinksConfig {
  /** Hosts that links may lead to: `accounts.example.com`, `*.example.com`, `*` for any public host. Empty: the same as `*`. */
  readonly hosts: readonly string[];
  /** Schemes that links may have, without the colon. */
  readonly schemes: readonly string[];
  /** What becomes of a message that breaks the policy. */
  readonly action: 'reject' | 'warn';
}

export interface ThrottleConfig {
  /** At most `count` messages with this tag to one recipient in any `perMs` milliseconds. */
  readonly perRecipient: RateConfig;
}

export interface RateConfig {
  readonly count: number;
  readonly perMs: number;
}

/** What `when:` and `match:` can ask of a message; all given fields must hold, one entry of a list is enough. */
export interface RuleCondition {
  readonly tag?: readonly string[];
  readonly recipientDomain?: readonly string[];
  readonly recipient?: readonly string[];
  readonly senderDomain?: readonly string[];
  readonly credential?: readonly string[];
  readonly priority?: readonly Priority[];
}

export interface RuleConfig {
  readonly name: string;
  readonly when: RuleCondition;
  readonly action:
    | { readonly kind: 'via'; readonly routes: readonly string[] }
    | { readonly kind: 'reject'; readonly reason: string };
}

export type RouteConfig = SandboxRouteConfig | SmtpRouteConfig | MxRouteConfig;

export interface SandboxRouteConfig {
  readonly name: string;
  readonly type: 'sandbox';
}

export interface SmtpRouteConfig {
  readonly name: string;
  readonly type: 'smtp';
  readonly host: string;
  readonly port: number;
  readonly tls: 'required' | 'implicit' | 'none';
  readonly auth: { readonly username: string; readonly password: string } | null;
  /** Connections at most at the same time. */
  readonly connections: number;
  /** At most `count` messages in any `perMs` milliseconds; null: no limit. */
  readonly rate: RateConfig | null;
  /** PEM text of the authorities to trust instead of the system's; null: the system's. */
  readonly ca: string | null;
  /** Name to ask for (SNI) and to verify; null: the host. */
  readonly servername: string | null;
  readonly connectTimeoutMs: ConnectTimeouts;
  /** EHLO name; null: `hostname`. */
  readonly ehlo: string | null;
}

/** For the TCP connection, in milliseconds, by lane: where there is another route, critical mail must not wait long. */
export type ConnectTimeouts = Readonly<Record<Priority, number>>;

export interface MxRouteConfig {
  readonly name: string;
  readonly type: 'mx';
  /**
   * `opportunistic`: TLS wherever it is offered; MTA-STS, DANE and what was seen before set the floor. `required`: always
   * TLS with a certificate for the MX host's name.
   */
  readonly tls: 'opportunistic' | 'required';
  readonly port: number;
  /** DNS servers as `address:port`; null: the system's. */
  readonly dns: readonly string[] | null;
  /** Whether MX hosts in private, loopback and other special networks may be connected to. */
  readonly allowPrivate: boolean;
  /** Local addresses to connect from, one of a family at most; empty: the system chooses. */
  readonly sourceIps: readonly string[];
  /** TLSA records are used: the DNS servers validate, and the way to them can be trusted (RFC 7672). */
  readonly dane: boolean;
  readonly mtaSts: boolean;
  /** Connections at most at the same time: in all, to one recipient domain, to one MX host. */
  readonly connections: number;
  readonly connectionsPerDomain: number;
  readonly connectionsPerHost: number;
  readonly rate: RateConfig | null;
  /** PEM text of the authorities to trust instead of the system's, for MX hosts and MTA-STS; null: the system's. */
  readonly ca: string | null;
  readonly connectTimeoutMs: ConnectTimeouts;
  readonly ehlo: string | null;
}

export interface BouncesConfig {
  /** RFC 3464 reports to the envelope sender of SMTP mail that failed. */
  readonly dsn: boolean;
  /** Where reports about our mail come in, for the return paths of the senders. */
  readonly listeners: readonly ListenerConfig[];
  /** How long a recipient stays suppressed after a bounce of class `recipient`. */
  readonly suppressForMs: number;
}

export interface RetryConfig {
  /** Waits between attempts in milliseconds; the last repeats. */
  readonly ladders: Readonly<Record<Priority, readonly number[]>>;
  readonly giveUpAfterMs: number;
}

export interface WebhookConfig {
  readonly name: string;
  /** Normal form, http or https, without user name, password and fragment. Its path or query may hold a token. */
  readonly url: string;
  /** Octets of one secret, or of two during a rotation: each signs. */
  readonly secrets: readonly Uint8Array[];
  readonly events: ReadonlySet<EventType>;
  /** Messages with one of these tags; null: every message. Events that are about no message are not asked. */
  readonly tags: ReadonlySet<string> | null;
  /** PEM text of the authorities to trust instead of the system's; null: the system's. */
  readonly ca: string | null;
}

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'json' | 'logfmt' | 'pretty';
  /** Absolute path, or null for standard output alone. */
  readonly file: string | null;
}
