/** The door: a token of `http.tokens`, once; the relay keeps a session in a cookie that no script can read. */
import { useState, type FormEvent } from 'react';
import { ApiError } from '../api/client.ts';
import { useSignIn } from '../api/session.ts';
import { Command } from '../parts/show.tsx';

export function SignIn() {
  const [token, setToken] = useState('');
  const signIn = useSignIn();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    signIn.mutate(token.trim());
  };
  return (
    <main className="sign-in">
      <form className="panel" onSubmit={submit}>
        <header>
          <h1>Sign in to this relay</h1>
        </header>
        <div className="body">
          <label className="field">
            API token
            <input
              type="password"
              autoComplete="current-password"
              autoFocus
              required
              maxLength={512}
              value={token}
              onChange={(event) => setToken(event.target.value)}
            />
          </label>
          {signIn.isError ? (
            <p className="text-bad" role="alert">
              {signIn.error instanceof ApiError && signIn.error.code === 'unauthorized'
                ? 'This relay knows no such token.'
                : signIn.error.message}
            </p>
          ) : null}
          <p>
            <button type="submit" className="primary" disabled={signIn.isPending || token.trim() === ''}>
              {signIn.isPending ? 'Signing in ...' : 'Sign in'}
            </button>
          </p>
          <p className="muted">
            One of the tokens under <code>http.tokens</code> in the config. With the scope <code>read</code> you can
            look; changing things and reading captured mail needs <code>admin</code>.
          </p>
          <p className="muted">
            No token yet? On the machine of the relay, this makes one and the lines for the config:
          </p>
          <Command text="leadpush-relay credential token --name me --scopes read,send,admin" />
        </div>
      </form>
    </main>
  );
}
