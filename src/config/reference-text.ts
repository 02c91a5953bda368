/** The prose of config/README.md around the generated tables. */

/** Everything before the tables. */
export const OPENING = `# The config of Leadpush Relay

One YAML file. \`relay.yaml\` in this folder is the sandbox that \`npm start\` runs; \`production.example.yaml\` is one to
start from for real mail. This page is generated from the schema (\`npm run docs:config\`): change it there.

A config needs one route and one rule. Every other key has a default, and the defaults let nobody in and send for no domain:
say who may submit (\`credentials\` or \`smtp.trusted_networks\`) and which From domains are yours (\`senders\`, or
\`unknown_senders: unsigned\`). This is enough to try it on one machine:

\`\`\`yaml
smtp: { trusted_networks: [127.0.0.0/8] }
unknown_senders: unsigned
routes: { sandbox: { type: sandbox } }
rules: [{ name: default, via: [sandbox] }]
\`\`\`

## Finding mistakes

The file is validated as a whole before anything starts. Every mistake is told at once, one a line, with file, line, column
and path, what was wrong and what was expected:

\`\`\`
relay.yaml:14:7 routes.ses.conect_timeout: \`conect_timeout\` is not a known key; did you mean \`connect_timeout\`?
relay.yaml:21:12 rules[0].via[1]: \`postmrk\` is not a route; did you mean \`postmark\`?
\`\`\`

Warnings do not keep the relay from starting: they tell of what is valid and hardly meant, such as rules that leave mail
over (which is then refused), or a key file that other users can read. \`leadpush-relay check --config FILE\` shows both.

## How values are written

| kind | grammar | examples |
|---|---|---|
| duration | digits and one of \`ms\`, \`s\`, \`m\`, \`h\`, \`d\` | \`500ms\` \`10s\` \`15m\` \`2h\` \`7d\` |
| size | digits and one of \`KB\`, \`MB\`, \`GB\`; 1 KB is 1024 octets, 1 MB is 1024 * 1024 octets, 1 GB is 1024 * 1024 * 1024 octets | \`64KB\` \`10MB\` \`1GB\` |
| rate | digits, \`/\`, a duration: at most so many in any such span of time | \`14/1s\` \`200/1m\` |
| network | CIDR; a bare address is a network of one; no bits set after the prefix | \`10.0.0.0/8\` \`"::1/128"\` \`192.0.2.7\` |
| host | a host name, or an IP address without brackets | \`smtp.example.com\` \`127.0.0.1\` \`"::1"\` |
| server | an IP address, IPv6 in brackets, with or without a port | \`9.9.9.9\` \`127.0.0.1:5353\` \`"[::1]:53"\` |
| domain | a domain name; other scripts than Latin become A-labels; letter case does not count | \`example.com\` \`bücher.example\` |
| tag | 1 to 64 of \`a-z\`, \`0-9\`, \`.\`, \`_\`, \`-\`, the first a letter or digit | \`password-reset\` |
| mailbox | an address, with or without a name | \`security@example.com\` \`"Example Security <security@example.com>"\` |
| pattern | see "Patterns" | \`'^Use code \\S{4,12} to recover'\` |
| name | as a tag, upper case too | \`ses\` \`SES-2\` |

A number without a unit is refused: durations, sizes and rates always have one. Text that looks like a number needs quotes:
\`password: "12345"\`. An empty value is refused; to get the default, leave the key out.

YAML is 1.2: \`yes\` and \`on\` are text. Anchors and aliases work, merge keys (\`<<\`) do not. Limits: 1 MB, 20000 values, 24 levels.

## Secrets

In any value, not in keys:

| written | becomes |
|---|---|
| \`\${NAME}\` | the environment variable \`NAME\` |
| \`\${file:PATH}\` | the text of the file (UTF-8, at most 64 KB) without its last line break |
| \`$\${\` | a literal \`\${\` |

They can be part of a text: \`"sha256:\${OPS_TOKEN_HASH}"\`. What is put in is not looked at again. A variable that is not set and
a file that cannot be read are mistakes at that line; an empty variable is empty text. Inside \`{ }\` and \`[ ]\` YAML wants quotes
around them. The secret itself is in no message: mistakes show what the file says.

A secret file or private key that other users can read or write (any of \`chmod 077\`) is a warning.

## Paths

Relative paths start at the config file's folder, whatever the working directory is. A path that starts with \`~\` is refused.

## Changing it while the relay runs

SIGHUP reads the file again: all of it applies or, when there is a mistake in it, none of it, and the log says what is wrong.
Secret files and variables are read again too (a running process keeps the environment it was started with).

These cannot change in a running relay. A reload with such a change is refused as a whole, and the log names it; restart the relay instead:
\`hostname\`, \`data\`, \`content_key\`, \`smtp.listeners\`, \`bounces.listeners\`, \`http\`, \`log\`, and \`retention.content\` from \`until-settled\` to a duration or back.

## Keys

\`[]\` stands for every entry of a list, \`*\` for every name in a mapping. "required" holds within its mapping: a key of an
optional mapping is required when the mapping is there.`;

/** After the tables: presets, tag rules and patterns. */
export const TAGS_TEXT = `## Tags

### Presets

\`tags.<tag>.preset: NAME\` sets the values of that line; each can be written beside it and counts then, \`none\` takes a TTL, delay, throttle or
link policy away. The tag may have another name than the preset: \`reset-mobile: { preset: password-reset }\`.

PRESETS

All of them: \`priority: critical\`, \`delayed_after: 30s\`, \`links: { schemes: [https], action: warn }\` (any public host; name yours and write
\`action: reject\` for production). Without an entry in \`tags\`, the tags of these names are critical and nothing more.

### Which tag a message gets

1. \`X-Leadpush-Tag\`; 2. an alias (\`credentials[].headers.aliases\`); 3. the first tag of this file with a \`match\` entry that holds;
4. \`credentials[].tag\`. \`tag_source\` says which it was: \`header\`, \`alias\`, \`rule\`, \`credential\`; \`leadpush-relay explain\` tells every rule that matches.

Best is one credential per app or kind of mail with a default \`tag\`: subjects change with versions and languages. Where an app sends everything with one
login, tell its mail apart by subject, and ask for the credential too: several apps call a reset mail "Reset password".

### Patterns

A part of the usual regular expressions, matched in time that grows with the length of the subject and no faster: literals, \`.\`, \`[a-z]\` \`[^a-z]\`,
\`\\d\` \`\\w\` \`\\s\` \`\\D\` \`\\W\` \`\\S\`, \`( )\`, \`|\`, \`*\` \`+\` \`?\` \`{3}\` \`{3,}\` \`{3,12}\` (to 100), \`^\` and \`$\`; \`\\\` before a sign of punctuation makes it
literal. Without \`^\` and \`$\` a match anywhere counts. Letter case does not count. Back-references, look-around and \`\\b\` are refused. At most
256 characters. Single quotes keep YAML from reading the backslashes.`;

/** Before the list of options that are not available. */
export const NOT_AVAILABLE_TEXT = `## Not available yet

These options are part of the config's design and this version does not carry them out. They are refused, so that no option
is there that does nothing:`;
