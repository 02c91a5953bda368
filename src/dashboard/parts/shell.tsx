/** The frame: search on top, the views beside, who is signed in, how the live stream stands. */
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useLive } from '../api/live.ts';
import { useSession, useSignOut } from '../api/session.ts';
import { usePlace } from '../lib/router.ts';
import { useTheme } from '../lib/theme.ts';
import { Link } from './link.tsx';
import { SearchBox } from './search-box.tsx';
import { VIEWS } from './views.ts';

const THEME_NAMES = { system: 'Auto theme', light: 'Light', dark: 'Dark' } as const;
const LIVE_TEXT = { connecting: 'connecting', live: 'live', lost: 'not live: reconnecting' } as const;
const LIVE_CLASS = { connecting: '', live: 'on', lost: 'off' } as const;

export function Shell({ children }: { readonly children: ReactNode }) {
  const { path } = usePlace();
  const session = useSession().data;
  const signOut = useSignOut();
  const { theme, next } = useTheme();
  const live = useLive();
  const [isOpen, setOpen] = useState(false);
  const view = useRef<HTMLElement>(null);

  useEffect(() => setOpen(false), [path]);

  return (
    <>
      <a className="skip" href="#view" onClick={() => view.current?.focus()}>
        Skip to the content
      </a>
      <header className="top">
        <button
          type="button"
          className="menu-button"
          aria-expanded={isOpen}
          aria-controls="views"
          onClick={() => setOpen(!isOpen)}
        >
          Menu
        </button>
        <Link className="brand" href="/" aria-label="Leadpush Relay, messages">
          <img src="/assets/icon.svg" alt="" />
          <span>Leadpush Relay</span>
        </Link>
        <SearchBox />
        <div className="top-end">
          {session?.name == null ? null : (
            <span className="who" title={`Signed in as ${session.name}: ${session.scopes.join(', ')}`}>
              {session.name}
              {session.scopes.includes('admin') ? '' : ', read-only'}
            </span>
          )}
          <button type="button" className="plain" onClick={next} title="Light, dark, or as the system has it">
            <span className="visually-hidden">Look: </span>
            {THEME_NAMES[theme]}
          </button>
          {session?.state === 'signed-in' ? (
            <button type="button" onClick={() => signOut.mutate()} disabled={signOut.isPending}>
              Sign out
            </button>
          ) : null}
        </div>
      </header>
      <div className="frame">
        <nav id="views" className={isOpen ? 'side open' : 'side'} aria-label="Views">
          {VIEWS.map(({ href, name }) => (
            <Link key={href} href={href} aria-current={isCurrent(path, href) ? 'page' : undefined}>
              {name}
            </Link>
          ))}
          <div className="side-foot">
            <p>
              <span className={`live ${LIVE_CLASS[live]}`} role="status">
                {LIVE_TEXT[live]}
              </span>
            </p>
            {session === undefined ? null : (
              <>
                <p className="break">{session.hostname}</p>
                <p>
                  version {session.version} · <a href="/docs">API</a>
                </p>
              </>
            )}
          </div>
        </nav>
        <main id="view" className="view" tabIndex={-1} ref={view}>
          {children}
        </main>
      </div>
    </>
  );
}

function isCurrent(path: string, href: string): boolean {
  if (href === '/') return path === '/' || path.startsWith('/messages') || path.startsWith('/flows');
  return path === href || path.startsWith(`${href}/`);
}
